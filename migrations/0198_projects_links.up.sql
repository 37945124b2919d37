-- Links with which anybody reads a project. The secret in a link is known to nobody but whom it was given.
create table project_links (
    id         uuid        primary key,
    org_id     uuid        not null references orgs,
    project_id uuid        not null references projects on delete cascade,
    created_by uuid        references users on delete set null,
    hash       bytea       not null unique,
    views      bigint      not null default 0,
    created_at timestamptz not null,
    expires_at timestamptz not null
);
create index project_links_by_project on project_links (project_id, id);
create index project_links_by_org on project_links (org_id);
create index project_links_by_maker on project_links (created_by) where created_by is not null;
call isolate_by_org('project_links');
