-- Money that goes back: refunds and disputes, and the inbox's memory of what failed.

alter table payments
    -- The payment intent; that of an invoice is learned when it is needed.
    add column payment_intent_id text unique,
    -- What went back in all, disputes included; more than was paid counts as all of it.
    add column returned_cents    bigint not null default 0
        constraint payment_returns_what_was_paid check (returned_cents between 0 and amount_cents);

update payments set payment_intent_id = stripe_id where stripe_id like 'pi\_%';

-- A row made by an operator is there before Stripe is asked, and its id is Stripe's idempotency key.
-- Rows without requested_by were made in Stripe's dashboard.
create table refunds (
    id           uuid        primary key,
    org_id       uuid        not null references orgs,
    payment_id   uuid        not null references payments,
    stripe_id    text        unique,
    amount_cents bigint      not null check (amount_cents > 0),
    currency     text        not null,
    status       text        not null
        check (status in ('requested', 'pending', 'requires_action', 'succeeded', 'failed', 'canceled')),
    reason       text,
    failure      text,
    requested_by uuid,
    request_key  text,
    created_at   timestamptz not null,
    updated_at   timestamptz not null,
    constraint refund_requested_once unique (requested_by, request_key),
    constraint refund_known_to_stripe check (status in ('requested', 'failed') or stripe_id is not null)
);

create index refunds_by_payment on refunds (payment_id);
create index refunds_waiting on refunds (created_at) where status = 'requested';
call isolate_by_org('refunds');
revoke insert, update, delete on refunds from app_tenant;

create table disputes (
    id           uuid        primary key,
    org_id       uuid        not null references orgs,
    payment_id   uuid        not null references payments,
    stripe_id    text        not null unique,
    amount_cents bigint      not null check (amount_cents > 0),
    currency     text        not null,
    status       text        not null,
    reason       text,
    created_at   timestamptz not null,
    updated_at   timestamptz not null
);

create index disputes_by_payment on disputes (payment_id);
call isolate_by_org('disputes');
revoke insert, update, delete on disputes from app_tenant;

alter table stripe_events
    add column payment_intent_id text,
    add column charge_id         text,
    -- Attempts to apply it that failed since it came or was replayed, and why the last one did.
    add column failures          integer not null default 0,
    add column last_error        text;

-- What arrived before there was a ledger of money.
insert into ledger_entries (id, org_id, unit, from_account, to_account, amount, external_id, created_at)
select gen_random_uuid(), org_id, currency, 'customer', 'stripe', amount_cents, 'payment:' || stripe_id, created_at
from payments
where amount_cents > 0;

-- The plan's history: the row of a subscription only shows how it is.
create table subscription_history (
    id               bigint      generated always as identity primary key,
    org_id           uuid        not null references orgs,
    plan             text        not null,
    billing_interval text        not null,
    status           text        not null,
    cancels          boolean     not null,
    period_end       timestamptz not null,
    created_at       timestamptz not null
);

create index subscription_history_by_org on subscription_history (org_id, created_at);
call isolate_by_org('subscription_history');
revoke insert, update, delete on subscription_history from app_tenant;

create function note_subscription_history() returns trigger language plpgsql security definer
set search_path from current as $$
begin
    insert into subscription_history (org_id, plan, billing_interval, status, cancels, period_end, created_at)
    values (new.org_id, new.plan, new.billing_interval, new.status, new.cancel_at_period_end,
            new.current_period_end, new.updated_at);
    return null;
end $$;

create trigger note_begin after insert on subscriptions
    for each row execute function note_subscription_history();
create trigger note_change after update on subscriptions
    for each row when (
        (old.plan, old.billing_interval, old.status, old.cancel_at_period_end, old.current_period_end)
        is distinct from
        (new.plan, new.billing_interval, new.status, new.cancel_at_period_end, new.current_period_end))
    execute function note_subscription_history();

-- Broken rules of money; like ledger_violations, right when empty.
create view money_violations as
select 'payment_is_booked' as rule, p.id::text as subject,
       format('paid %s %s, booked %s', p.amount_cents, p.currency, coalesce(e.amount, 0)) as detail
from payments p
left join ledger_entries e on e.external_id = 'payment:' || p.stripe_id and e.unit = p.currency
where p.amount_cents <> coalesce(e.amount, 0)
union all
select 'refund_is_booked', r.id::text,
       format('%s of %s, booked %s', r.status, r.amount_cents, coalesce(e.amount, 0) - coalesce(b.amount, 0))
from refunds r
left join ledger_entries e on e.external_id = 'refund:' || r.stripe_id and e.unit = r.currency
left join ledger_entries b on b.external_id = 'refund_failed:' || r.stripe_id and b.unit = r.currency
where coalesce(e.amount, 0) - coalesce(b.amount, 0)
      <> case when r.status in ('pending', 'succeeded') then r.amount_cents else 0 end
union all
select 'refunds_are_at_most_what_was_paid', p.id::text, format('paid %s, refunded %s', p.amount_cents, r.amount)
from payments p
join (select payment_id, sum(amount_cents) as amount from refunds
      where status not in ('failed', 'canceled') group by payment_id) r on r.payment_id = p.id
where r.amount > p.amount_cents
union all
select 'return_is_in_the_currency_of_its_payment', p.id::text, format('%s, not %s', p.currency, r.currency)
from payments p
join (select payment_id, currency from refunds union select payment_id, currency from disputes) r
     on r.payment_id = p.id and r.currency <> p.currency
union all
select 'returned_is_what_refunds_and_disputes_add_up_to', p.id::text,
       format('shows %s, should %s', p.returned_cents, least(p.amount_cents, r.amount))
from payments p
join lateral (
    select coalesce(sum(amount_cents), 0)::bigint as amount
    from (select amount_cents from refunds
          where payment_id = p.id and status in ('pending', 'succeeded')
          union all
          select amount_cents from disputes
          where payment_id = p.id and status in ('needs_response', 'under_review', 'lost')) it) r on true
where p.returned_cents <> least(p.amount_cents, r.amount)
union all
select 'dispute_is_booked', d.id::text, format('%s of %s, disputed %s', d.status, d.amount_cents, e.disputed)
from disputes d
join lateral (
    select coalesce(sum(case 'disputed' when to_account then amount when from_account then -amount end), 0)::bigint
               as disputed,
           coalesce(sum(case 'customer' when to_account then amount when from_account then -amount end), 0)::bigint
               as lost
    from ledger_entries
    where external_id in ('dispute:' || d.stripe_id, 'dispute_won:' || d.stripe_id,
                          'dispute_lost:' || d.stripe_id, 'dispute_recovered:' || d.stripe_id)
) e on true
where e.disputed <> case when d.status in ('needs_response', 'under_review') then d.amount_cents else 0 end
   or e.lost <> case when d.status = 'lost' then d.amount_cents else 0 end;
