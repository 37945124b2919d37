-- Archives of projects, each for some days. The row is there before the archive and goes after it.
create table project_exports (
    id         uuid        primary key,
    org_id     uuid        not null references orgs,
    project_id uuid        references projects on delete set null,
    -- Once it is made.
    bytes      bigint,
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create index project_exports_by_expiry on project_exports (expires_at);
create index project_exports_by_project on project_exports (project_id);
create index project_exports_by_org on project_exports (org_id);
call isolate_by_org('project_exports');
