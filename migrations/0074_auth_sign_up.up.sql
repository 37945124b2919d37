-- Who may register where not everybody may.

create table invite_codes (
    id         uuid        primary key,
    -- Of the code, which is shown once.
    hash       bytea       not null unique,
    -- What it is for, for operators.
    note       text        not null,
    -- Only for this address, if there is one.
    email      text,
    uses_left  integer     not null check (uses_left >= 0),
    -- What each new org gets.
    credits    bigint      not null default 0 check (credits >= 0),
    created_at timestamptz not null,
    expires_at timestamptz
);

create table waitlist_entries (
    id         uuid        primary key,
    email      text        not null unique,
    created_at timestamptz not null,
    -- When they were sent a code.
    invited_at timestamptz
);

create index waitlist_entries_waiting on waitlist_entries (id) where invited_at is null;

alter table registrations add column invite_code uuid references invite_codes on delete cascade;
