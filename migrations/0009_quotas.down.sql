drop view counter_differences;
drop function book, book_budgets, book_grants, books_differ;
drop type counters, new_usage, new_entry, new_hold, grant_change, budget_change, hold_end, books_version;

drop trigger next_version on budgets;
drop trigger unknowns_change on budgets;
drop trigger books_change on budgets;
drop trigger books_change on grants;
drop trigger books_change on orgs;
drop function next_version, note_books_change, note_time_zone_change, books_change;
drop table books;

alter table usage_records drop column budgets, drop column booked,
    add constraint usage_records_org_id_fkey foreign key (org_id) references orgs;

alter table holds add column draws jsonb, add foreign key (org_id) references orgs;
update holds h
set draws = (
    select coalesce(jsonb_agg(case
        when d.period is null then jsonb_build_object('grant', d.id, 'amount', d.amount)
        else jsonb_build_object('budget', d.id, 'period_start', d.period, 'amount', d.amount)
    end), '[]')
    from unnest(h.draw_ids, h.draw_periods, h.draw_amounts) as d (id, period, amount));
alter table holds alter column draws set not null;

create or replace view hold_draws as
select hold.id as hold_id, draw.*
from holds hold, jsonb_to_recordset(hold.draws)
    as draw (budget uuid, period_start timestamptz, "grant" uuid, amount bigint);

alter table holds
    drop column instance, drop column max_tokens, drop column draw_ids, drop column draw_periods,
    drop column draw_amounts;

drop index grants_by_org;
create index grants_spendable on grants (org_id, priority, expires_at, id)
    where spent + held + revoked < amount;
alter table grants reset (fillfactor);

create or replace view ledger_violations as
select rule, subject, detail from (values ('', '', '')) as none (rule, subject, detail) where false;

delete from budgets where unit = 'unknowns';
alter table budgets
    drop column soft, drop column raised_by, drop column raised_until, drop column overrun,
    drop column carried, drop column version, drop column created_at,
    drop constraint budgets_unit_check,
    add constraint budgets_unit_check check (unit in ('requests', 'tokens', 'nano_usd')),
    reset (fillfactor);
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
