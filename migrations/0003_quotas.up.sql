-- Who may spend how much: plan entitlements, budgets, credits, reservations, and the ledger. A tenant
-- reads its rows and changes none: money moves on the owner's paths only.

create table entitlements (
    org_id        uuid        primary key references orgs,
    plan          text        not null,
    tier          text        not null check (tier in ('free', 'creator', 'pro', 'agency')),
    seats         bigint      not null check (seats > 0),
    storage_bytes bigint      not null check (storage_bytes >= 0),
    updated_at    timestamptz not null
);

call isolate_by_org('entitlements');
revoke insert, update, delete on entitlements from app_tenant;

-- A budget and its counters are one row: what is locked is what decides. The counters belong to the
-- period that began at period_start; the first reservation of a later period starts them anew.
--   kind limit     nothing passes it, whoever pays.
--   kind included  what the plan pays for; past it a call draws credits.
create table budgets (
    id             uuid        primary key,
    scope          text        not null check (scope in ('global', 'org', 'project', 'user', 'key')),
    org_id         uuid        references orgs,
    subject_id     uuid,
    kind           text        not null check (kind in ('limit', 'included')),
    period         text        not null check (period in ('day', 'month', 'lifetime')),
    unit           text        not null check (unit in ('requests', 'tokens', 'nano_usd')),
    operation      text,
    amount         bigint      not null check (amount >= 0),
    period_start   timestamptz not null,
    spent          bigint      not null default 0 check (spent >= 0),
    held           bigint      not null default 0 check (held >= 0),
    -- The highest amount in force during this period: lowering a budget does not undo what was spent.
    highest_amount bigint      not null check (highest_amount >= 0),
    constraint budget_exists unique nulls not distinct
        (scope, org_id, subject_id, kind, period, unit, operation),
    constraint budget_scope_fits check (
        (scope = 'global') = (org_id is null)
        and (scope in ('project', 'user', 'key')) = (subject_id is not null))
);

create index budgets_by_org on budgets (org_id);
call isolate_by_org('budgets');
revoke insert, update, delete on budgets from app_tenant;

-- Credits, bought or given; spent in order of priority, then expiry.
create table grants (
    id          uuid        primary key,
    org_id      uuid        not null references orgs,
    source      text        not null check (source in ('plan', 'pack', 'promo', 'admin')),
    priority    smallint    not null,
    amount      bigint      not null check (amount > 0),
    spent       bigint      not null default 0 check (spent >= 0),
    held        bigint      not null default 0 check (held >= 0),
    revoked     bigint      not null default 0 check (revoked between 0 and amount),
    expires_at  timestamptz,
    external_id text        not null constraint grant_given_once unique,
    created_at  timestamptz not null,
    constraint grant_not_overspent check (spent + held <= amount)
);

-- Only grants with something left are ever searched for.
create index grants_spendable on grants (org_id, priority, expires_at, id)
    where spent + held + revoked < amount;
call isolate_by_org('grants');
revoke insert, update, delete on grants from app_tenant;

-- Reservations of calls in flight. A row is deleted exactly once, by whoever ends the call: that
-- deletion is what makes a call count once.
create table holds (
    id            uuid        primary key,
    org_id        uuid        not null references orgs,
    user_id       uuid        not null,
    api_key_id    uuid,
    project_id    uuid,
    operation     text        not null,
    provider      text        not null,
    model         text        not null,
    price_id      uuid        not null,
    paid_by       text        not null check (paid_by in ('plan', 'credits')),
    cost_nano_usd bigint      not null check (cost_nano_usd >= 0),
    credits       bigint      not null check (credits >= 0),
    -- [{"budget": id, "period_start": time, "amount": n} | {"grant": id, "amount": n}]
    draws         jsonb       not null,
    request_id    text,
    created_at    timestamptz not null,
    expires_at    timestamptz not null
);

create index holds_by_expiry on holds (expires_at);
call isolate_by_org('holds');
revoke insert, update, delete on holds from app_tenant;

-- Double entry, one movement a row: `amount` leaves one account of the org and enters another, so the
-- sum over all accounts is zero by construction. external_id makes an effect happen once.
create table ledger_entries (
    id           uuid        primary key,
    org_id       uuid        not null references orgs,
    unit         text        not null check (unit in ('credits', 'nano_usd')),
    from_account text        not null,
    to_account   text        not null check (to_account <> from_account),
    amount       bigint      not null check (amount > 0),
    grant_id     uuid        references grants,
    external_id  text        not null constraint ledger_effect_happens_once unique,
    created_at   timestamptz not null
);

create index ledger_entries_by_org on ledger_entries (org_id, created_at desc);
create index ledger_entries_by_grant on ledger_entries (grant_id);
call isolate_by_org('ledger_entries');
revoke insert, update, delete on ledger_entries from app_tenant;

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only: correct it with a new row', tg_table_name;
end $$;

create trigger append_only before update or delete or truncate on ledger_entries
    for each statement execute function refuse_change();

-- What every budget and grant should hold, by the reservations in flight.
create view hold_draws as
select hold.id as hold_id, draw.*
from holds hold, jsonb_to_recordset(hold.draws)
    as draw (budget uuid, period_start timestamptz, "grant" uuid, amount bigint);

-- Broken rules, one a row; the books are right when it is empty.
create view ledger_violations as
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
where b.spent + b.held > b.highest_amount
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
