-- Orgs whose account is closed: nothing is billed any more, and Stripe forgets who they were.
create table billing_closures (
    org_id       uuid        primary key references orgs,
    requested_at timestamptz not null,
    done_at      timestamptz
);

call isolate_by_org('billing_closures');
revoke insert, update, delete on billing_closures from app_tenant;

-- All that is kept about somebody.
create index stripe_events_by_customer on stripe_events (customer_id);
create index stripe_events_by_payment on stripe_events (payment_intent_id);
