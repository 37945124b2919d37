-- Who people and programs are. No column here can be used to sign in: secrets are stored as hashes.

create table memberships (
    org_id     uuid        not null references orgs,
    user_id    uuid        not null references users,
    role       text        not null check (role in ('owner', 'admin', 'member', 'billing', 'viewer')),
    created_at timestamptz not null,
    primary key (org_id, user_id)
);

create index memberships_by_user on memberships (user_id);
call isolate_by_org('memberships');

create table sessions (
    id           uuid        primary key,
    user_id      uuid        not null references users,
    org_id       uuid        not null references orgs,
    ip           text,
    user_agent   text,
    created_at   timestamptz not null,
    last_seen_at timestamptz not null,
    expires_at   timestamptz not null,
    revoked_at   timestamptz
);

create index sessions_by_user on sessions (user_id);
call isolate_by_org('sessions');

-- Refresh tokens form a chain per session. A token's successor is derived from it, so an answer lost
-- on the way can be repeated without storing a secret.
create table refresh_tokens (
    hash        bytea       primary key,
    session_id  uuid        not null references sessions on delete cascade,
    created_at  timestamptz not null,
    replaced_at timestamptz
);

create index refresh_tokens_by_session on refresh_tokens (session_id);

-- Links in mails: verification and password reset.
create table email_tokens (
    hash       bytea       primary key,
    user_id    uuid        not null references users,
    purpose    text        not null check (purpose in ('verify_email', 'reset_password')),
    email      text        not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at    timestamptz
);

create index email_tokens_by_user on email_tokens (user_id, purpose);

create table api_keys (
    id           uuid        primary key,
    org_id       uuid        not null references orgs,
    user_id      uuid        not null references users,
    name         text        not null,
    prefix       text        not null,
    hash         bytea       not null unique,
    scopes       text[]      not null,
    created_at   timestamptz not null,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz
);

create index api_keys_by_org on api_keys (org_id, id);
call isolate_by_org('api_keys');

-- The people who run the product: accounts of their own, never a flag on a customer's.
create table operators (
    id            uuid        primary key,
    email         text        not null,
    password_hash text        not null,
    created_at    timestamptz not null,
    disabled_at   timestamptz
);

create unique index operators_email_taken on operators (lower(email));
