-- Many calls at once: sent as a file, made when there is room for them, their answers a file again.

create table ai_files (
    id         uuid        primary key,
    org_id     uuid        not null references orgs,
    purpose    text        not null check (purpose in ('batch', 'batch_output')),
    name       text        not null,
    content    bytea       not null,
    created_at timestamptz not null,
    expires_at timestamptz not null
);

create index ai_files_by_org on ai_files (org_id, id desc);
create index ai_files_by_expiry on ai_files (expires_at);
call isolate_by_org('ai_files');

create table ai_batches (
    id             uuid        primary key,
    org_id         uuid        not null references orgs,
    operation      text        not null check (operation in ('chat', 'embedding', 'image')),
    input_file_id  uuid        not null,
    metadata       jsonb,
    status         text        not null check (status in
                       ('in_progress', 'completed', 'failed', 'expired', 'cancelling', 'cancelled')),
    -- Why the file cannot be read as a batch.
    errors         jsonb,
    total          integer     not null,
    -- Of a batch that has ended; of one that has not, its calls tell.
    completed      integer     not null default 0,
    failed         integer     not null default 0,
    output_file_id uuid,
    error_file_id  uuid,
    created_at     timestamptz not null,
    -- What has not begun by then will not be made.
    expires_at     timestamptz not null,
    cancelling_at  timestamptz,
    ended_at       timestamptz,
    constraint batch_ends_once check
        ((status in ('completed', 'failed', 'expired', 'cancelled')) = (ended_at is not null))
);

create index ai_batches_by_org on ai_batches (org_id, id desc);
create index ai_batches_open on ai_batches (expires_at) where ended_at is null;
call isolate_by_org('ai_batches');

-- The calls of a batch, until it has ended.
alter table generations
    add column batch_id  uuid references ai_batches on delete cascade,
    add column custom_id text,
    add column line      integer,
    add constraint generation_of_a_batch_has_its_line check
        ((batch_id is null) = (line is null) and (batch_id is null) = (custom_id is null));

create index generations_by_batch on generations (batch_id, line) where batch_id is not null;
-- The first lines of all batches come first, so that a long one does not hold up the others.
create index generations_next_of_batches on generations (line, id)
    where batch_id is not null and status = 'queued' and not_before is null;
