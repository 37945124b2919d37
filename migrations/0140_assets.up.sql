-- Files of orgs. What is in them is kept by `storage`; here is what they are called and whose they are.

-- What an org stores and what it has reserved for uploads under way, in one number: the row that is locked is
-- what decides.
create table asset_usage (
    org_id uuid   primary key references orgs,
    bytes  bigint not null check (bytes >= 0)
);
call isolate_by_org('asset_usage');

-- The parts of an upload are in the storage only, which is asked for them.
create table uploads (
    id           uuid        primary key,
    org_id       uuid        not null references orgs,
    created_by   uuid        references users on delete set null,
    name         text        not null,
    content_type text        not null,
    bytes        bigint      not null check (bytes > 0),
    part_bytes   bigint      not null check (part_bytes > 0),
    sha256       bytea,
    status       text        not null check (status in ('open', 'completed', 'refused', 'aborted', 'expired')),
    asset_id     uuid,
    created_at   timestamptz not null,
    expires_at   timestamptz not null,
    ended_at     timestamptz,
    check ((status = 'open') = (ended_at is null)),
    check ((status = 'completed') = (asset_id is not null))
);
create index uploads_by_org on uploads (org_id, id desc);
create index uploads_to_expire on uploads (expires_at) where status = 'open';
create index uploads_ended on uploads (ended_at) where status <> 'open';
call isolate_by_org('uploads');

create table assets (
    id           uuid        primary key,
    org_id       uuid        not null references orgs,
    created_by   uuid        references users on delete set null,
    name         text        not null,
    content_type text        not null,
    bytes        bigint      not null check (bytes > 0),
    sha256       bytea       not null,
    width        int,
    height       int,
    created_at   timestamptz not null,
    deleted_at   timestamptz
);
create index assets_by_org on assets (org_id, id desc) where deleted_at is null;
create index assets_to_erase on assets (deleted_at) where deleted_at is not null;
call isolate_by_org('assets');
