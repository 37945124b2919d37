-- Who is to be erased, or was. What they were called is nowhere in it.
create table deletions (
    id           uuid        primary key,
    -- The person, or the org.
    user_id      uuid        references users,
    org_id       uuid        references orgs,
    -- The erasure of the last person in an org takes the org along.
    part_of      uuid        references deletions,
    requested_at timestamptz not null,
    due_at       timestamptz not null,
    cancelled_at timestamptz,
    started_at   timestamptz,
    done_at      timestamptz,
    certificate  jsonb,
    code         bytea,
    check (num_nonnulls(user_id, org_id) = 1),
    check (num_nonnulls(cancelled_at, started_at) < 2),
    check ((done_at is null) = (certificate is null) and (done_at is null) = (code is null))
);

create unique index deletion_once on deletions (coalesce(user_id, org_id)) where cancelled_at is null;
create index deletions_open on deletions (due_at) where cancelled_at is null and done_at is null;
call isolate_by_org('deletions');
revoke insert, update, delete on deletions from app_tenant;

-- What was done, each step once, in the transaction that did it.
create table deletion_steps (
    deletion_id uuid   not null references deletions,
    step        text   not null,
    rows        bigint not null,
    primary key (deletion_id, step)
);

revoke all on deletion_steps from app_tenant;
