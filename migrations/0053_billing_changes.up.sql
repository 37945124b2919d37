-- Changes of subscriptions, each stored before Stripe hears of it; its id is Stripe's idempotency key.
-- open: asked for, no answer yet. done: Stripe did it. refused: it would not.
create table subscription_changes (
    id          uuid        primary key,
    org_id      uuid        not null references orgs,
    user_id     uuid        not null references users,
    -- What was asked for: plan, interval and seats, cancel, resume.
    target      jsonb       not null,
    status      text        not null check (status in ('open', 'done', 'refused')),
    created_at  timestamptz not null
);

create index subscription_changes_by_org on subscription_changes (org_id, id);
create unique index subscription_change_open_once on subscription_changes (org_id) where status = 'open';
call isolate_by_org('subscription_changes');
revoke delete on subscription_changes from app_tenant;
