-- Copies of everything that is kept about a person, or of an org, made on request. The archives are objects.
create table data_exports (
    id          uuid        primary key,
    -- Who asked, and the only one who gets it.
    user_id     uuid        not null references users,
    -- Of which org; null: of the person.
    org_id      uuid        references orgs,
    status      text        not null check (status in ('queued', 'ready', 'failed', 'expired')),
    bytes       bigint,
    created_at  timestamptz not null,
    finished_at timestamptz,
    expires_at  timestamptz,
    check ((status in ('ready', 'expired')) = (bytes is not null and expires_at is not null)),
    check ((status = 'queued') = (finished_at is null))
);

create index data_exports_by_user on data_exports (user_id, id desc);
create index data_exports_by_expiry on data_exports (expires_at) where status = 'ready';
call isolate_by_org('data_exports');
revoke insert, update, delete on data_exports from app_tenant;
