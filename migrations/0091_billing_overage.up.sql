alter table subscriptions
    -- What a credit of overage costs, if Stripe bills it: the price of the subscription's own item.
    add column overage_cents   bigint not null default 0 check (overage_cents >= 0),
    -- How many the org wants to use at most in a period.
    add column overage_credits bigint not null default 0 check (overage_credits >= 0);

-- Overage as Stripe is told of it. A report is written down before it is sent, and its id is what Stripe knows it by:
-- it counts once, however often it is sent.
create table overage_reports (
    id         uuid        primary key,
    org_id     uuid        not null references orgs,
    -- The period it was used in, as its grants are named.
    period     text        not null,
    credits    bigint      not null check (credits > 0),
    -- The moment that Stripe is told; it lies in the period as long as that can still be billed.
    used_at    timestamptz not null,
    created_at timestamptz not null,
    sent_at    timestamptz,
    -- Why Stripe did not take it, the last time.
    last_error text
);

create index overage_reports_by_org on overage_reports (org_id, period);
create index overage_reports_by_time on overage_reports (used_at);
create index overage_reports_waiting on overage_reports (created_at) where sent_at is null;
call isolate_by_org('overage_reports');
revoke insert, update, delete on overage_reports from app_tenant;
