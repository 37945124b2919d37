-- What people have models make: from a brief, in steps, each of which is kept before it is charged.

create table personas (
    id         uuid        primary key,
    org_id     uuid        not null references orgs,
    name       text        not null,
    text       text        not null,
    version    bigint      not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create unique index persona_name_taken on personas (org_id, lower(name));
call isolate_by_org('personas');

create table templates (
    id         uuid        primary key,
    org_id     uuid        not null references orgs,
    name       text        not null,
    -- The newest of its versions.
    version    bigint      not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);
create unique index template_name_taken on templates (org_id, lower(name));
call isolate_by_org('templates');

create table template_versions (
    template_id uuid        not null references templates on delete cascade,
    version     bigint      not null,
    org_id      uuid        not null references orgs,
    text        text        not null,
    variables   jsonb       not null,
    created_at  timestamptz not null,
    primary key (template_id, version)
);
call isolate_by_org('template_versions');

create table creations (
    id               uuid        primary key,
    org_id           uuid        not null references orgs,
    user_id          uuid        not null references users,
    -- The item of a job that makes it, or made it last. Jobs are forgotten before it is.
    job_id           uuid        not null,
    position         integer     not null,
    project_id       uuid,
    template_id      uuid        references templates on delete set null,
    template_version bigint,
    model            text        not null,
    max_tokens       integer     not null,
    -- Of the persona and the person's preferences, as they were.
    instructions     text        not null,
    -- Null once it is not kept any more.
    brief            text,
    quality          smallint    check (quality between 0 and 100),
    quality_reasons  text[]      not null default '{}',
    stars            smallint    check (stars between 1 and 5),
    note             text,
    created_at       timestamptz not null,
    updated_at       timestamptz not null
);
create index creations_by_person on creations (org_id, user_id, id desc);
create index creations_by_job on creations (job_id);
create index creations_by_template on creations (template_id) where template_id is not null;
create index creations_to_purge on creations (created_at);
call isolate_by_org('creations');

-- 'asked': a model is being asked. Found so by another process, its outcome is unknown, and only the person has it
-- asked again. 'failed': nothing was billed.
create table creation_steps (
    creation_id   uuid        not null references creations on delete cascade,
    step          text        not null check (step in ('plan', 'result')),
    org_id        uuid        not null references orgs,
    status        text        not null default 'waiting'
                  check (status in ('waiting', 'asked', 'answered', 'failed', 'unknown')),
    attempt       integer     not null default 0,
    output        text,
    problem       jsonb,
    call_id       uuid,
    model         text,
    cost_nano_usd bigint,
    primary key (creation_id, step)
);
call isolate_by_org('creation_steps');

create table user_preferences (
    user_id       uuid        primary key references users,
    default_model text,
    language      text,
    tone          text,
    theme         text,
    updated_at    timestamptz not null
);
revoke all on user_preferences from app_tenant;
