create table projects (
    id         uuid        primary key,
    org_id     uuid        not null references orgs,
    name       text        not null,
    version    bigint      not null default 1,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    deleted_at timestamptz
);

create unique index project_name_taken on projects (org_id, lower(name)) where deleted_at is null;
create index projects_by_org on projects (org_id, id) where deleted_at is null;
call isolate_by_org('projects');
