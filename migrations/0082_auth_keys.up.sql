-- A key keeps its id, scopes, limit and budget when its secret is exchanged; the secret before goes on
-- working until a stated time.
alter table api_keys
    add column previous_hash       bytea unique,
    add column previous_expires_at timestamptz,
    add constraint api_key_overlap_ends check ((previous_hash is null) = (previous_expires_at is null));

-- Operators who stand in for a customer.
create table impersonations (
    id          uuid        primary key,
    operator_id uuid        not null references operators,
    user_id     uuid        not null references users,
    org_id      uuid        not null references orgs,
    reason      text        not null,
    hash        bytea       not null unique,
    created_at  timestamptz not null,
    expires_at  timestamptz not null,
    ended_at    timestamptz
);

call isolate_by_org('impersonations');
revoke all on impersonations from app_tenant;
