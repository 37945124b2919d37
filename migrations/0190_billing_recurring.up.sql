-- What a period of a subscription costs, plan and seats, at the prices that it was made at.
alter table subscriptions
    add column recurring_cents    bigint not null default 0 check (recurring_cents >= 0),
    add column recurring_currency text;

-- Of those that exist: what they cost today. Who pays an older price is set right with their next event.
update subscriptions s
set recurring_currency = plan.currency,
    recurring_cents = plan.cents + s.extra_seats * coalesce(
        (select seat.cents from stripe_prices seat
         where seat.item = 'seat-' || s.plan || '-' || s.billing_interval and seat.active), 0)
from stripe_prices plan
where plan.item = 'plan-' || s.plan || '-' || s.billing_interval and plan.active;
