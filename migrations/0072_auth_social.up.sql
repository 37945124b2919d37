-- Signing in with an account at somebody else's. Known by who says it and what they call it, never by
-- an address.

create table identities (
    id           uuid        primary key,
    user_id      uuid        not null references users on delete cascade,
    -- The name of the provider in the settings.
    provider     text        not null,
    issuer       text        not null,
    subject      text        not null,
    -- To be recognised in a list; nothing is decided by it.
    email        text,
    created_at   timestamptz not null,
    last_used_at timestamptz not null,
    unique (issuer, subject)
);

create index identities_by_user on identities (user_id);

-- Those under way, between leaving for the provider and coming back.
create table social_logins (
    -- Of the state, which goes to the provider and comes back.
    hash         bytea       primary key,
    -- Of what only the browser that began it has.
    binding_hash bytea       not null,
    provider     text        not null,
    transport    text        not null check (transport in ('bearer', 'cookie')),
    -- Who wants to sign in with it in future; null: somebody signs in now.
    user_id      uuid        references users on delete cascade,
    created_at   timestamptz not null,
    expires_at   timestamptz not null
);

create index social_logins_by_age on social_logins (expires_at);
