-- Passkeys (WebAuthn): keys in somebody's devices that sign in by themselves, and prove the second
-- factor after a password.

create table passkeys (
    id            uuid        primary key,
    user_id       uuid        not null references users on delete cascade,
    -- What the key calls itself.
    credential_id bytea       not null unique,
    -- What people call it.
    name          text        not null,
    -- Its public key and its count of uses, as the library keeps them.
    credential    jsonb       not null,
    created_at    timestamptz not null,
    last_used_at  timestamptz,
    -- When its count of uses went back, so that there seem to be two of it. It opens nothing any more.
    copied_at     timestamptz
);

create index passkeys_by_user on passkeys (user_id);

-- Challenges that wait for what a passkey makes of them. Each is answered once.
create table passkey_ceremonies (
    -- Of the secret that the answer comes with.
    hash       bytea       primary key,
    purpose    text        not null check (purpose in ('registration', 'sign_in', 'proof')),
    -- Whose passkey it must be; null: whose it is tells who signs in.
    user_id    uuid        references users on delete cascade,
    -- As the library keeps it.
    state      jsonb       not null,
    created_at timestamptz not null,
    expires_at timestamptz not null
);

create index passkey_ceremonies_by_age on passkey_ceremonies (expires_at);
create index passkey_ceremonies_by_user on passkey_ceremonies (user_id);
