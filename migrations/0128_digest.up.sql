-- How far the digest of a week has come: every org and member up to here has theirs.
create table digest_runs (
    week        date        primary key,
    org_cursor  uuid        not null,
    user_cursor uuid        not null,
    started_at  timestamptz not null,
    finished_at timestamptz
);

-- The last reminder to somebody who has not been here for a while.
create table nudges (
    user_id uuid        primary key references users on delete cascade,
    -- How many since they were last here.
    step    smallint    not null check (step in (1, 2)),
    sent_at timestamptz not null
);
