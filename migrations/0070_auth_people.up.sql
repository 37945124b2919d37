-- An account begins when its address is confirmed. Until then there is only what somebody registered
-- with, bound to the link in their mail: nobody confirms a name and a password that others chose.

create table registrations (
    -- Of the secret in the link.
    hash          bytea       primary key,
    email         text        not null,
    name          text        not null,
    password_hash text        not null,
    -- Wrong passwords that were tried with the link.
    tries         integer     not null default 0,
    created_at    timestamptz not null,
    expires_at    timestamptz not null
);

create index registrations_by_email on registrations (email, created_at);

-- Who signs in with links or through somebody else has no password.
alter table users alter column password_hash drop not null;

delete from email_tokens where purpose = 'verify_email';
alter table email_tokens
    drop constraint email_tokens_purpose_check,
    add constraint email_tokens_purpose_check
        check (purpose in ('reset_password', 'change_email', 'undo_email_change'));

-- Signing in with a code from a mail. A row is there for addresses without an account too.
create table magic_links (
    -- Of what only the asking browser or program knows.
    challenge_hash bytea       primary key,
    email          text        not null,
    -- Of the code in the mail; none is sent to addresses without an account.
    code_hash      bytea,
    tries          integer     not null default 0,
    created_at     timestamptz not null,
    expires_at     timestamptz not null
);

-- Who has proved the first factor and owes the second one.
create table sign_in_challenges (
    hash       bytea       primary key,
    user_id    uuid        not null references users on delete cascade,
    tries      integer     not null default 0,
    created_at timestamptz not null,
    expires_at timestamptz not null
);

create index sign_in_challenges_by_user on sign_in_challenges (user_id);

create table second_factors (
    user_id        uuid        primary key references users on delete cascade,
    -- Sealed with a key derived from AUTH_SECRET.
    totp_secret    bytea       not null,
    -- The last time step whose code was used: no code works twice (RFC 6238, 5.2).
    totp_last_step bigint      not null default 0,
    created_at     timestamptz not null,
    -- Null until a first code has proved that the authenticator works.
    confirmed_at   timestamptz
);

-- Each lets its owner in once, without the phone.
create table recovery_codes (
    user_id uuid        not null references users on delete cascade,
    hash    bytea       not null,
    used_at timestamptz,
    primary key (user_id, hash)
);

-- When the person last proved who they are: sensitive operations ask for that to be recent.
alter table sessions add column authenticated_at timestamptz;
update sessions set authenticated_at = created_at;
alter table sessions alter column authenticated_at set not null;

drop trigger announce_change on sessions;
create trigger announce_change after update on sessions
    for each row when (old.revoked_at is distinct from new.revoked_at
                       or old.user_id is distinct from new.user_id
                       or old.org_id is distinct from new.org_id
                       or old.authenticated_at is distinct from new.authenticated_at)
    execute function announce_change('id');

alter table refresh_tokens
    -- How many successors it has had: a second one is given when the first may not have arrived.
    add column successors integer not null default 0,
    -- Another successor was given in its place, so whoever has this one got it by other means.
    add column superseded boolean not null default false;
update refresh_tokens set successors = 1 where replaced_at is not null;
