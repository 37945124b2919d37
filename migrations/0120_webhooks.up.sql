-- What happens in an org, told to its own programs: where to, what, and what became of it.

create table webhook_endpoints (
    id          uuid        primary key,
    org_id      uuid        not null references orgs,
    url         text        not null,
    description text        not null,
    -- The types it is told of; empty: all.
    events      text[]      not null,
    -- Sealed, as is the one before, which signs too until it expires.
    secret      bytea       not null,
    previous_secret            bytea,
    previous_secret_expires_at timestamptz,
    disabled_at     timestamptz,
    disabled_reason text check (disabled_reason in ('request', 'gone', 'failing')),
    -- How it does: failures in a row, since when, and whether its people were told.
    failures      integer     not null default 0,
    failing_since timestamptz,
    warned_at     timestamptz,
    paused_until  timestamptz,
    slow          boolean     not null default false,
    -- Who delivers to it now, and for how long at most.
    lane       uuid,
    lane_until timestamptz,
    version    bigint      not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    unique (id, org_id),
    constraint webhook_endpoint_disabled_for_a_reason check ((disabled_at is null) = (disabled_reason is null))
);

create index webhook_endpoints_by_org on webhook_endpoints (org_id, id);

create table webhook_events (
    id         uuid        primary key,
    org_id     uuid        not null references orgs,
    type       text        not null,
    -- As it is signed and sent, to the byte.
    payload    text        not null,
    -- The only endpoint that is told: of tests.
    only_to    uuid,
    created_at timestamptz not null,
    unique (id, org_id)
);

create index webhook_events_by_age on webhook_events (created_at);

-- The org in both keys: what happened in one org has no way to an endpoint of another.
create table webhook_deliveries (
    endpoint_id uuid        not null,
    event_id    uuid        not null,
    org_id      uuid        not null,
    status      text        not null check (status in ('pending', 'delivered', 'failed')),
    attempts    integer     not null default 0,
    -- When the next attempt is due. While one is under way: when it must be over.
    due_at      timestamptz not null,
    created_at  timestamptz not null,
    primary key (endpoint_id, event_id),
    foreign key (endpoint_id, org_id) references webhook_endpoints (id, org_id) on delete cascade,
    foreign key (event_id, org_id) references webhook_events (id, org_id) on delete cascade
);

create index webhook_deliveries_of_event on webhook_deliveries (event_id);
create index webhook_deliveries_due on webhook_deliveries (endpoint_id, due_at, event_id) where status = 'pending';

create table webhook_attempts (
    id          uuid        primary key,
    endpoint_id uuid        not null,
    event_id    uuid        not null,
    org_id      uuid        not null,
    status      smallint,
    error       text,
    -- The beginning of what came back.
    response    text        not null,
    duration_ms integer     not null,
    created_at  timestamptz not null,
    foreign key (endpoint_id, event_id) references webhook_deliveries on delete cascade
);

create index webhook_attempts_by_endpoint on webhook_attempts (endpoint_id, id);
create index webhook_attempts_by_delivery on webhook_attempts (endpoint_id, event_id, id);

call isolate_by_org('webhook_endpoints');
call isolate_by_org('webhook_events');
call isolate_by_org('webhook_deliveries');
call isolate_by_org('webhook_attempts');
revoke insert, update, delete on webhook_attempts from app_tenant;
revoke update, delete on webhook_events from app_tenant;
revoke insert, delete on webhook_deliveries from app_tenant;

-- Queues the delivery of what is due at an endpoint.
create function wake_webhook_endpoint(endpoint uuid, pause interval default '0') returns void
    language plpgsql as $$
begin
    perform graphile_worker.add_job(
        identifier => 'webhooks.deliver',
        payload => json_build_object('job', json_build_object('endpoint', endpoint)),
        run_at => now() + pause,
        max_attempts => 5,
        -- A later run does not take the place of one that is to begin at once.
        job_key => 'webhooks.deliver:' || endpoint || case when pause > '0' then ':later' else '' end);
end $$;

-- Without a key: writers of events must not wait for each other. With the owner's rights: the tenant role has no
-- access to the queue, but events are its own.
create function queue_webhook_event() returns trigger
    language plpgsql security definer set search_path = '' as $$
begin
    perform graphile_worker.add_job(
        identifier => 'webhooks.dispatch',
        payload => json_build_object('job', json_build_object('event', new.id)),
        max_attempts => 10);
    return null;
end $$;

create trigger queue_webhook_event after insert on webhook_events
    for each row execute function queue_webhook_event();
