-- What was bought, in step with Stripe.

create table stripe_customers (
    org_id      uuid        primary key references orgs,
    customer_id text        not null unique,
    -- Counts how often the customer's state at Stripe was taken over. A state fetched before the
    -- latest of these may be older than it and is fetched again.
    revision    bigint      not null default 0,
    created_at  timestamptz not null
);

call isolate_by_org('stripe_customers');

-- A purchase in progress; its id is Stripe's idempotency key. The org of anything Stripe tells us
-- about is found here, never taken from what Stripe's object claims. Session, url and expiry are
-- unknown until Stripe has answered.
create table checkouts (
    id                uuid        primary key,
    org_id            uuid        not null references orgs,
    user_id           uuid        not null references users,
    item              text        not null,
    status            text        not null check (status in ('open', 'paid', 'expired')),
    stripe_session_id text        unique,
    url               text,
    expires_at        timestamptz,
    created_at        timestamptz not null
);

-- A second click finds the first one's checkout. Only one plan may be for sale to an org at a time,
-- so that nobody pays for two.
create unique index checkout_open_once on checkouts
    (org_id, (case when item like 'plan-%' then 'plan' else item end)) where status = 'open';
call isolate_by_org('checkouts');

create table subscriptions (
    org_id                 uuid        primary key references orgs,
    stripe_subscription_id text        not null unique,
    plan                   text        not null,
    billing_interval       text        not null check (billing_interval in ('month', 'year')),
    status                 text        not null,
    current_period_start   timestamptz not null,
    current_period_end     timestamptz not null,
    cancel_at_period_end   boolean     not null,
    updated_at             timestamptz not null
);

call isolate_by_org('subscriptions');

-- stripe_id is the payment intent of a pack or the invoice of a subscription.
create table payments (
    id           uuid        primary key,
    org_id       uuid        not null references orgs,
    checkout_id  uuid        not null references checkouts,
    stripe_id    text        not null constraint payment_recorded_once unique,
    amount_cents bigint      not null check (amount_cents >= 0),
    currency     text        not null,
    created_at   timestamptz not null
);

create index payments_by_org on payments (org_id, id desc);
call isolate_by_org('payments');

-- The inbox: every verified event, its body exactly as signed (text, because jsonb refuses U+0000).
-- A job reads the newest state of what it is about and notes the outcome:
--   applied  our books agree with Stripe's.
--   ignored  not about anything we sold, or not meant for this deployment.
--   refused  contradicts our own mapping of customers to orgs; somebody should look.
create table stripe_events (
    id          text        primary key,
    type        text        not null,
    object_id   text,
    customer_id text,
    api_version text,
    livemode    boolean     not null,
    payload     text        not null,
    received_at timestamptz not null,
    handled_at  timestamptz,
    outcome     text        check (outcome in ('applied', 'ignored', 'refused')),
    constraint stripe_event_outcome_known check ((handled_at is null) = (outcome is null))
);

create index stripe_events_by_time on stripe_events (received_at);
create index stripe_events_waiting on stripe_events (received_at) where handled_at is null;
