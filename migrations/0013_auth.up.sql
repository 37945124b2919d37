-- How the people who run the product get in: a password, and always a second factor.

alter table operators
    alter column password_hash drop not null,
    -- Sealed with a key derived from AUTH_SECRET.
    add column totp_secret    bytea,
    -- The last time step whose code was used: no code works twice (RFC 6238, 5.2).
    add column totp_last_step bigint not null default 0,
    add column enrolled_at    timestamptz;

-- An operator without a second factor could not sign in; they enrol by an invitation.
update operators set password_hash = null;

alter table operators add constraint operator_has_both_factors check (
    (enrolled_at is null) = (password_hash is null) and (enrolled_at is null) = (totp_secret is null));

-- Invitations to choose a password and a second factor: the first ones, or after losing the phone.
create table operator_enrolments (
    hash          bytea       primary key,
    operator_id   uuid        not null references operators on delete cascade,
    -- What was chosen, until a first code proves that the second factor works.
    password_hash text,
    totp_secret   bytea,
    created_at    timestamptz not null,
    expires_at    timestamptz not null
);

create index operator_enrolments_by_operator on operator_enrolments (operator_id);

-- Each lets its owner in once, without the phone.
create table operator_recovery_codes (
    operator_id uuid        not null references operators on delete cascade,
    hash        bytea       not null,
    used_at     timestamptz,
    primary key (operator_id, hash)
);

create table operator_sessions (
    id           uuid        primary key,
    operator_id  uuid        not null references operators on delete cascade,
    hash         bytea       not null unique,
    ip           text        not null,
    user_agent   text,
    created_at   timestamptz not null,
    expires_at   timestamptz not null,
    revoked_at   timestamptz
);

create index operator_sessions_by_operator on operator_sessions (operator_id);
