-- Whatever leaves a grant leaves it through the ledger: credits that lapse, that are taken back because the money
-- was returned, and that pay for what another grant owes. Money is booked in the same ledger, each currency for
-- itself and in its smallest unit.
--
--   credits  issued → available → spent, expired, clawed_back; debt is passed through by one grant that pays for another
--   money    customer → stripe → customer, disputed, fees

alter table ledger_entries
    drop constraint ledger_entries_unit_check,
    add constraint ledger_unit_known check (unit = 'credits' or unit ~ '^[a-z]{3}$'),
    add constraint ledger_credits_have_a_grant check ((unit = 'credits') = (grant_id is not null)),
    add constraint ledger_accounts_known check (
        case when unit = 'credits'
             then from_account in ('issued', 'available', 'spent', 'expired', 'clawed_back', 'debt')
              and to_account in ('issued', 'available', 'spent', 'expired', 'clawed_back', 'debt')
             else from_account in ('customer', 'stripe', 'disputed', 'fees')
              and to_account in ('customer', 'stripe', 'disputed', 'fees')
        end);

-- `revoked`, which calls decide on, counts all that left a grant without being spent, less what came back.
-- Together with what was spent it can be more than the grant had: then the grant is overdrawn.
-- `clawed_back` is the part that was taken back; it can never be more than was given.
-- `lapsed`: it has expired, nothing of it is in flight, and what was left is booked.
alter table grants
    drop constraint grants_check,
    add constraint grant_revoked_not_negative check (revoked >= 0),
    add column clawed_back bigint not null default 0
        constraint grant_takes_back_what_it_gave check (clawed_back between 0 and amount),
    add column lapsed boolean not null default false,
    -- How often credits moved other than by being spent: it numbers their entries.
    add column movements bigint not null default 0;

-- Neither names what calls change.
create index grants_to_expire on grants (expires_at, id) where expires_at is not null and not lapsed;
create index grants_clawed_back on grants (org_id) where clawed_back > 0;

-- Pictures must know of credits that come back.
drop trigger books_change on grants;
create trigger books_change after insert or delete or update of expires_at, priority, revoked on grants
    for each row execute function note_books_change();

-- What one grant still has paid for another: it is returned if the other's credits come back.
create table grant_covers (
    lender_id uuid   not null references grants,
    debtor_id uuid   not null references grants,
    org_id    uuid   not null references orgs,
    amount    bigint not null check (amount >= 0),
    primary key (debtor_id, lender_id),
    check (lender_id <> debtor_id)
);

call isolate_by_org('grant_covers');
revoke insert, update, delete on grant_covers from app_tenant;

-- What each grant's entries add up to, apart from what calls have spent.
create view grant_movements as
select g.id, g.org_id, g.amount, g.spent, g.revoked, g.clawed_back,
       coalesce(sum(case when e.to_account in ('expired', 'clawed_back', 'debt') then e.amount else 0 end
                  - case when e.from_account in ('expired', 'clawed_back', 'debt') then e.amount else 0 end), 0)::bigint
           as left_unspent,
       coalesce(sum(case when e.to_account = 'clawed_back' then e.amount
                         when e.from_account = 'clawed_back' then -e.amount end), 0)::bigint as taken_back,
       coalesce(sum(case when e.to_account = 'available' then e.amount
                         when e.from_account = 'available' then -e.amount end), 0)::bigint as balance,
       coalesce(sum(case when e.from_account = 'debt' then e.amount
                         when e.to_account = 'debt' then -e.amount end), 0)::bigint as received,
       coalesce(sum(case when e.to_account = 'expired' then e.amount
                         when e.from_account = 'expired' then -e.amount end), 0)::bigint as expired
from grants g
left join ledger_entries e on e.grant_id = g.id
group by g.id;

-- Broken rules of grants; like ledger_violations, right when empty.
create view grant_violations as
select 'grant_balance_is_booked' as rule, m.id::text as subject,
       format('shows %s, booked %s', m.amount - m.spent - m.revoked, m.balance) as detail
from grant_movements m
where m.amount - m.spent - m.revoked <> m.balance
union all
select 'grant_revoked_is_booked', m.id::text, format('revoked %s, booked %s', m.revoked, m.left_unspent)
from grant_movements m
where m.revoked <> m.left_unspent
union all
select 'grant_clawed_back_is_booked', m.id::text, format('clawed back %s, booked %s', m.clawed_back, m.taken_back)
from grant_movements m
where m.clawed_back <> m.taken_back
union all
select 'grant_lapses_what_it_had', m.id::text, format('expired %s of %s', m.expired, m.amount)
from grant_movements m
where m.expired not between 0 and m.amount
union all
select 'grant_is_paid_for_by_others', m.id::text,
       format('received %s, covers say %s', m.received, coalesce(c.amount, 0))
from grant_movements m
left join (select id, sum(amount)::bigint as amount
           from (select debtor_id as id, amount from grant_covers
                 union all select lender_id, -amount from grant_covers) cover
           group by id) c on c.id = m.id
where m.received <> coalesce(c.amount, 0)
union all
select 'lapsed_grant_is_empty', g.id::text,
       format('left %s, held %s', g.amount - g.spent - g.revoked, g.held)
from grants g
where g.lapsed and (g.held > 0 or g.amount - g.spent - g.revoked > 0);

-- The books of a month, written down once and never changed. A line counts every entry up to the month's end
-- that no earlier line counts: what was booked after its month was closed is in the next one, and marked late.
create table ledger_closes (
    month     date        primary key check (extract(day from month) = 1),
    closed_at timestamptz not null
);

create table ledger_close_lines (
    month        date   not null references ledger_closes,
    org_id       uuid   not null,
    unit         text   not null,
    from_account text   not null,
    to_account   text   not null,
    entries      bigint not null,
    amount       bigint not null,
    late_entries bigint not null,
    late_amount  bigint not null,
    primary key (month, org_id, unit, from_account, to_account)
);

call isolate_by_org('ledger_close_lines');
revoke insert, update, delete on ledger_close_lines from app_tenant;
create trigger append_only before update or delete or truncate on ledger_closes
    for each statement execute function refuse_change();
create trigger append_only before update or delete or truncate on ledger_close_lines
    for each statement execute function refuse_change();
