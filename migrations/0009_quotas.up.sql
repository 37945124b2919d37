-- Reservations and settlements in one round trip: the decision is made in Rust on a picture of the
-- books, and `book` verifies and writes it, or writes nothing. See docs/decisions/0002.

-- Soft budgets only alert. A raise adds to the amount until its end. What the platform paid beyond a
-- reservation is kept apart, so that it is no false alarm. The version changes with every column that
-- decides, but not with the counters.
alter table budgets
    add column soft         boolean     not null default false,
    add column raised_by    bigint      not null default 0 check (raised_by >= 0),
    add column raised_until timestamptz,
    add column overrun      bigint      not null default 0 check (overrun >= 0),
    -- Spent in this period before usage records told what they booked.
    add column carried      bigint      not null default 0,
    add column version      bigint      not null default 0,
    add column created_at   timestamptz not null default now(),
    drop constraint budgets_unit_check,
    add constraint budgets_unit_check check (unit in ('requests', 'tokens', 'nano_usd', 'unknowns')),
    set (fillfactor = 70);

update budgets set carried = spent;

-- An index that names counters would be written by every call.
drop index grants_spendable;
create index grants_by_org on grants (org_id, expires_at);
alter table grants set (fillfactor = 70);

-- What a hold reserves, line by line: of a budget in the period that began then, or of a grant (no
-- period). No foreign key to orgs, nor in usage records: checking it would lock the org's row for
-- every call, and orgs are not deleted while they have either.
alter table holds
    add column instance       uuid,
    add column max_tokens     bigint        not null default 0,
    add column draw_ids       uuid[]        not null default '{}',
    add column draw_periods   timestamptz[] not null default '{}',
    add column draw_amounts   bigint[]      not null default '{}';

update holds h
set (draw_ids, draw_periods, draw_amounts) = (
    select coalesce(array_agg(coalesce(d.budget, d."grant")), '{}'),
           coalesce(array_agg(d.period_start), '{}'),
           coalesce(array_agg(d.amount), '{}')
    from jsonb_to_recordset(h.draws) as d (budget uuid, period_start timestamptz, "grant" uuid, amount bigint));

create or replace view hold_draws as
select hold.id as hold_id,
       case when draw.period is not null then draw.id end as budget,
       draw.period as period_start,
       case when draw.period is null then draw.id end as "grant",
       draw.amount
from holds hold, unnest(hold.draw_ids, hold.draw_periods, hold.draw_amounts) as draw (id, period, amount);

alter table holds drop column draws, drop constraint holds_org_id_fkey;
alter table usage_records drop constraint usage_records_org_id_fkey;

-- What a call counted for, budget by budget; by it every budget's counter can be computed again.
alter table usage_records
    add column budgets uuid[]   not null default '{}',
    add column booked  bigint[] not null default '{}';

-- The version of an org's set of budgets and grants; that of the platform's under the nil id. It
-- changes when there are more or fewer of them.
create table books (
    id      uuid   primary key,
    version bigint not null
);

insert into books
select coalesce(org_id, '00000000-0000-0000-0000-000000000000'), 1 from budgets
union
select org_id, 1 from grants;

create function books_change(changed uuid) returns void language sql as $$
    insert into books values (coalesce(changed, '00000000-0000-0000-0000-000000000000'), 1)
    on conflict (id) do update set version = books.version + 1
$$;

create function note_books_change() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' then
        perform books_change(old.org_id);
    else
        perform books_change(new.org_id);
    end if;
    return null;
end $$;

create trigger books_change after insert or delete on budgets
    for each row execute function note_books_change();
create trigger books_change after insert or delete or update of expires_at, priority on grants
    for each row execute function note_books_change();

create function note_time_zone_change() returns trigger language plpgsql as $$
begin
    perform books_change(new.id);
    return null;
end $$;

create trigger books_change after update of time_zone on orgs
    for each row when (old.time_zone <> new.time_zone) execute function note_time_zone_change();

create function next_version() returns trigger language plpgsql as $$
begin
    new.version := old.version + 1;
    return new;
end $$;

create trigger next_version before update of amount, soft, raised_by, raised_until on budgets
    for each row execute function next_version();

-- Calls rely on these without touching their rows.
create trigger unknowns_change after update on budgets
    for each row when (new.unit = 'unknowns' and (old.spent <> new.spent or old.version <> new.version))
    execute function note_books_change();

-- Rows as `book` takes them. Their fields, like its parameters, are an interface to the program: a
-- change is a new type and a new function, so that two releases can run side by side.
create type books_version as (id uuid, version bigint);
create type hold_end as (id uuid, if_expired_at timestamptz);
-- began: the period that the row must show; starts: the period that counts from now on. A row of which
-- something is reserved has a version (a grant: what was revoked), and what it has counted must lie between the bounds.
create type budget_change as (
    id uuid, began timestamptz, starts timestamptz, spent bigint, held bigint, overrun bigint,
    version bigint, least bigint, most bigint, amount bigint);
create type grant_change as (
    id uuid, spent bigint, held bigint, revoked bigint, least bigint, most bigint);
create type new_hold as (
    id uuid, org_id uuid, user_id uuid, api_key_id uuid, project_id uuid, operation text,
    provider text, model text, price_id uuid, paid_by text, cost_nano_usd bigint, max_tokens bigint,
    credits bigint, draw_ids uuid[], draw_periods timestamptz[], draw_amounts bigint[],
    request_id text, instance uuid, created_at timestamptz, expires_at timestamptz);
create type new_entry as (
    id uuid, org_id uuid, from_account text, to_account text, amount bigint, grant_id uuid,
    external_id text, created_at timestamptz);
create type new_usage as (
    id uuid, org_id uuid, user_id uuid, api_key_id uuid, project_id uuid, operation text,
    provider text, model text, price_id uuid, outcome text, paid_by text, input_tokens bigint,
    cached_input_tokens bigint, output_tokens bigint, images bigint, seconds bigint, estimated boolean,
    cost_nano_usd bigint, credits bigint, request_id text, reserved_at timestamptz,
    created_at timestamptz, budgets uuid[], booked bigint[]);
-- A row's counters after `book`.
create type counters as (id uuid, period_start timestamptz, spent bigint, held bigint);

-- Nothing of the batch is written: the picture that it was decided on is not, or no longer, true.
create function books_differ(at uuid) returns bigint language plpgsql as $$
begin
    raise exception 'the books differ from their picture' using errcode = 'SL001', detail = at::text;
end $$;

create function book_budgets(changes budget_change[]) returns setof counters language plpgsql as $$
begin
    return query update budgets b
    set period_start = n.starts,
        spent = n.spent + case when b.period_start = n.starts then b.spent else 0 end,
        held = n.held + case
            when n.version is null then b.held
            when b.version = n.version and b.period_start = n.began
                 and case when b.period_start = n.starts then b.spent + b.held else 0 end
                     between n.least and n.most
            then case when b.period_start = n.starts then b.held else 0 end
            else books_differ(n.id)
        end,
        overrun = n.overrun + case when b.period_start = n.starts then b.overrun else 0 end,
        highest_amount = case when b.period_start = n.starts then b.highest_amount else n.amount end,
        carried = case when b.period_start = n.starts then b.carried else 0 end
    from unnest(changes) n
    where b.id = n.id and (n.version is not null or b.period_start = n.began)
    returning b.id, b.period_start, b.spent, b.held;
end $$;

create function book_grants(changes grant_change[]) returns setof counters language plpgsql as $$
begin
    return query update grants g
    set spent = g.spent + n.spent,
        held = g.held + n.held + case
            when n.revoked <> g.revoked or g.spent + g.held not between n.least and n.most
            then books_differ(n.id)
            else 0
        end
    from unnest(changes) n
    where g.id = n.id
    returning g.id, null::timestamptz, g.spent, g.held;
end $$;

-- Ends and makes reservations (usage records have had their seconds since migration 10): all of it or, with SQLSTATE SL001 and the id of what differs, nothing.
-- Rows are locked in the one order: holds, budgets of orgs by id, the platform's by id, grants by id;
-- the arrays come sorted. The settings keep plans from ever reading a whole table, whatever the
-- statistics say, and a lock from holding up a batch.
create function book(
    versions books_version[], ended hold_end[], budgets budget_change[], platform budget_change[],
    grants grant_change[], holds new_hold[], entries new_entry[], usage new_usage[])
returns setof counters language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set lock_timeout = '300ms'
as $$
declare
    different uuid;
    gone uuid[];
begin
    select v.id into different
    from unnest(versions) v left join books b on b.id = v.id
    where coalesce(b.version, 0) <> v.version
    limit 1;
    if found then
        perform books_differ(different);
    end if;
    if cardinality(ended) > 0 then
        with deleted as (
            delete from holds h using unnest(ended) e
            where h.id = e.id and (e.if_expired_at is null or h.expires_at < e.if_expired_at)
            returning h.id)
        select array_agg(id) into gone from deleted;
        if coalesce(cardinality(gone), 0) < cardinality(ended) then
            select e.id into different from unnest(ended) e
            where gone is null or e.id <> all (gone)
            limit 1;
            perform books_differ(different);
        end if;
    end if;
    if cardinality(budgets) > 0 then
        return query select * from book_budgets(budgets);
    end if;
    if cardinality(platform) > 0 then
        return query select * from book_budgets(platform);
    end if;
    if cardinality(grants) > 0 then
        return query select * from book_grants(grants);
    end if;
    if cardinality(holds) > 0 then
        insert into holds (
            id, org_id, user_id, api_key_id, project_id, operation, provider, model, price_id,
            paid_by, cost_nano_usd, max_tokens, credits, draw_ids, draw_periods, draw_amounts,
            request_id, instance, created_at, expires_at)
        select * from unnest(holds);
    end if;
    if cardinality(entries) > 0 then
        insert into ledger_entries (
            id, org_id, unit, from_account, to_account, amount, grant_id, external_id, created_at)
        select id, org_id, 'credits', from_account, to_account, amount, grant_id, external_id, created_at
        from unnest(entries);
    end if;
    if cardinality(usage) > 0 then
        insert into usage_records (
            id, org_id, user_id, api_key_id, project_id, operation, provider, model, price_id,
            outcome, paid_by, input_tokens, cached_input_tokens, output_tokens, images, seconds, estimated,
            cost_nano_usd, credits, request_id, reserved_at, created_at, budgets, booked)
        select * from unnest(usage);
    end if;
end $$;

-- An org whose calls end with an unknown outcome again and again is stopped for the day: each of them
-- is paid for by the platform.
insert into budgets (id, scope, org_id, kind, period, unit, amount, highest_amount, period_start)
select gen_random_uuid(), 'org', org_id, 'limit', 'day', 'unknowns', 50, 50, date_trunc('day', now(), 'UTC')
from entitlements;

-- Broken rules, one a row; the books are right when it is empty.
create or replace view ledger_violations as
select 'grant_amount_is_issued' as rule, g.id::text as subject,
       format('amount %s, issued %s', g.amount, coalesce(sum(e.amount), 0)) as detail
from grants g
left join ledger_entries e on e.grant_id = g.id and e.from_account = 'issued'
group by g.id
having g.amount <> coalesce(sum(e.amount), 0)
union all
select 'grant_spent_is_booked', g.id::text,
       format('spent %s, booked %s', g.spent, coalesce(sum(e.amount), 0))
from grants g
left join ledger_entries e on e.grant_id = g.id and e.to_account = 'spent'
group by g.id
having g.spent <> coalesce(sum(e.amount), 0)
union all
select 'grant_held_is_in_flight', g.id::text,
       format('held %s, in flight %s', g.held, coalesce(sum(d.amount), 0))
from grants g
left join hold_draws d on d."grant" = g.id
group by g.id
having g.held <> coalesce(sum(d.amount), 0)
union all
select 'budget_held_is_in_flight', b.id::text,
       format('held %s, in flight %s', b.held, coalesce(sum(d.amount), 0))
from budgets b
left join hold_draws d on d.budget = b.id and d.period_start = b.period_start
group by b.id
having b.held <> coalesce(sum(d.amount), 0)
union all
select 'budget_is_not_overspent', b.id::text,
       format('spent %s + held %s > %s', b.spent, b.held, b.highest_amount)
from budgets b
where not b.soft and b.unit <> 'unknowns' and b.spent - b.overrun + b.held > b.highest_amount
union all
select 'hold_is_not_older_than_its_life', h.id::text, format('expired at %s', h.expires_at)
from holds h
where h.expires_at < now() - interval '5 minutes'
union all
select 'call_is_recorded_once', u.id::text, format('%s usage records', count(*))
from usage_records u
where u.created_at > now() - interval '2 days'
group by u.id
having count(*) > 1
union all
select 'call_in_flight_is_not_recorded', h.id::text, 'has a usage record'
from holds h
where exists (select from usage_records u where u.id = h.id);

-- Counters that are not what the ledger, the usage records and the calls in flight add up to. It reads
-- all usage records: for `quotas verify`, `quotas rebuild` and tests, not for a health check.
create view counter_differences as
select 'budget' as of, b.id, 'spent' as counter, b.spent as shows,
       b.carried + coalesce(sum(booked.amount), 0)::bigint as should
from budgets b
left join (
    select line.id, line.amount, u.reserved_at
    from usage_records u, unnest(u.budgets, u.booked) as line (id, amount)
) booked on booked.id = b.id and booked.reserved_at >= b.period_start
group by b.id
having b.spent <> b.carried + coalesce(sum(booked.amount), 0)
union all
select 'budget', b.id, 'held', b.held, coalesce(sum(d.amount), 0)::bigint
from budgets b
left join hold_draws d on d.budget = b.id and d.period_start = b.period_start
group by b.id
having b.held <> coalesce(sum(d.amount), 0)
union all
select 'grant', g.id, 'spent', g.spent, coalesce(sum(e.amount), 0)::bigint
from grants g
left join ledger_entries e on e.grant_id = g.id and e.to_account = 'spent'
group by g.id
having g.spent <> coalesce(sum(e.amount), 0)
union all
select 'grant', g.id, 'held', g.held, coalesce(sum(d.amount), 0)::bigint
from grants g
left join hold_draws d on d."grant" = g.id
group by g.id
having g.held <> coalesce(sum(d.amount), 0);
