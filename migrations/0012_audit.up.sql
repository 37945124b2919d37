-- Who did what to whom: one log for customers and operators, written in the transaction of the change.
-- Rows without an org are the platform's own.

create table audit_events (
    id          uuid        not null,
    org_id      uuid        references orgs,
    actor_kind  text        not null check (actor_kind in ('user', 'api_key', 'operator', 'system')),
    actor_id    uuid,
    -- The person behind an API key.
    on_behalf_of uuid,
    action      text        not null,
    subject     text        not null,
    before      jsonb,
    after       jsonb,
    ip          text,
    request_id  text,
    created_at  timestamptz not null,
    primary key (id, created_at),
    constraint audit_actor_known check ((actor_id is null) = (actor_kind = 'system'))
) partition by range (created_at);

create table audit_events_default partition of audit_events default;
create index audit_events_by_org on audit_events (org_id, id desc);

call isolate_by_org('audit_events');
revoke update, delete on audit_events from app_tenant;

-- Row by row, since these triggers reach partitions that are named directly. A month is removed by
-- dropping its partition, which is retention and no change of what happened.
create trigger append_only before update or delete on audit_events
    for each row execute function refuse_change();
create trigger not_emptied before truncate on audit_events
    for each statement execute function refuse_change();
