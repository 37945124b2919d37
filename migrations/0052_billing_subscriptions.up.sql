-- What is bought is the price at Stripe; a delayed payment can fail after the page was left.
alter table checkouts
    add column price_id   text,
    add column trial_days integer not null default 0,
    drop constraint checkouts_status_check,
    add constraint checkouts_status_check check (status in ('open', 'paid', 'failed', 'expired'));

alter table subscriptions
    -- Seats beyond those of the plan.
    add column extra_seats       bigint      not null default 0 check (extra_seats >= 0),
    -- The version of the catalogue in which the running period was paid: nothing of it is taken away.
    add column catalogue_version integer     not null default 0,
    add column trial_end         timestamptz,
    -- The end of the last period whose bill is paid.
    add column paid_until        timestamptz,
    -- The bill that is overdue, and how often people were reminded of it.
    add column past_due_since    timestamptz,
    add column reminders         smallint    not null default 0,
    -- The month whose credits were given last, and the plan they were given for.
    add column credited_month    timestamptz,
    add column credited_plan     text,
    -- What Stripe changes to when the period ends (sub_sched_…).
    add column schedule_id       text,
    add column next_plan         text,
    add column next_interval     text        check (next_interval in ('month', 'year')),
    add column next_extra_seats  bigint;

create index subscriptions_in_arrears on subscriptions (past_due_since) where past_due_since is not null;
create index subscriptions_by_month on subscriptions (credited_month) where billing_interval = 'year';

-- A plan that operators gave, whatever Stripe says.
create table plan_grants (
    org_id     uuid        primary key references orgs,
    plan       text        not null,
    until      timestamptz,
    reason     text        not null,
    granted_by uuid,
    created_at timestamptz not null
);

create index plan_grants_by_end on plan_grants (until);
call isolate_by_org('plan_grants');
revoke insert, update, delete on plan_grants from app_tenant;
