-- Work of orgs that outlives a request and that their people can follow: jobs of one or many items.

create table jobs (
    id           uuid        primary key,
    org_id       uuid        not null references orgs,
    user_id      uuid        not null references users,
    api_key_id   uuid,
    kind         text        not null,
    status       text        not null default 'queued'
                 check (status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    -- Who works on it: a row of the queue, and its how manyth attempt at a job. Whoever no longer is that
    -- writes nothing.
    ticket       bigint,
    attempt      integer     not null default 0,
    items        integer     not null check (items > 0),
    succeeded    integer     not null default 0 check (succeeded >= 0),
    failed       integer     not null default 0 check (failed >= 0),
    percent      smallint    not null default 0 check (percent between 0 and 100),
    message      text        check (char_length(message) <= 500),
    cancelled_at timestamptz,
    -- Grows with every change; the id of an event.
    revision     bigint      not null default 1,
    created_at   timestamptz not null,
    not_before   timestamptz not null,
    -- Which turn of all was its last; tells which org was served the longest ago.
    turn         bigint,
    started_at   timestamptz,
    finished_at  timestamptz,
    expires_at   timestamptz not null,
    constraint job_is_held_while_it_runs check ((status = 'running') = (ticket is not null)),
    constraint job_ends_once check ((status in ('succeeded', 'failed', 'cancelled')) = (finished_at is not null)),
    constraint job_counts_its_items check (succeeded + failed <= items)
);

create index jobs_by_org on jobs (org_id, id desc);
create index jobs_waiting on jobs (org_id, id) where status = 'queued';
create index jobs_running on jobs (org_id, ticket) where status = 'running';
create index jobs_served on jobs (org_id, turn desc) where turn is not null;
create sequence job_turns;
create index jobs_by_expiry on jobs (expires_at);
call isolate_by_org('jobs');

create table job_items (
    job_id   uuid     not null references jobs on delete cascade,
    position integer  not null,
    org_id   uuid     not null references orgs,
    -- json, because jsonb refuses U+0000.
    input    json     not null,
    status   text     not null default 'queued'
             check (status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    tries    smallint not null default 0,
    result   json,
    problem  json,
    primary key (job_id, position),
    constraint item_has_its_result check ((status = 'succeeded') = (result is not null)),
    constraint item_has_its_problem check (status <> 'failed' or problem is not null)
);
call isolate_by_org('job_items');
