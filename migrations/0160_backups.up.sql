-- What became of backups. What backups there are, the object store says: this database may be the one that is lost.

create table backups (
    id          uuid        primary key,
    started_at  timestamptz not null,
    -- Absent while it is made, and for ever if whoever made it died.
    finished_at timestamptz,
    bytes       bigint,
    error       text,
    check (finished_at is not null or (bytes is null and error is null)),
    check (bytes is null or error is null)
);

create index backups_by_time on backups (started_at desc);

-- Backups that were restored for trial, and whether the copy was right.
create table restore_drills (
    id          uuid        primary key,
    backup_id   uuid        not null,
    started_at  timestamptz not null,
    finished_at timestamptz not null,
    -- What was wrong, or nothing.
    error       text
);

create index restore_drills_by_time on restore_drills (started_at desc);
