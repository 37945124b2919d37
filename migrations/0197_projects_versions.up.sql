-- What projects said before they were changed. A trigger keeps it, so that no change can forget to.
create table project_versions (
    org_id     uuid        not null references orgs,
    project_id uuid        not null references projects on delete cascade,
    version    bigint      not null,
    name       text        not null,
    text       text        not null,
    -- Since when it said so.
    said_at    timestamptz not null,
    primary key (project_id, version)
);
create index project_versions_by_org on project_versions (org_id);
call isolate_by_org('project_versions');

create function keep_project_version() returns trigger language plpgsql as $$
begin
    insert into project_versions (org_id, project_id, version, name, text, said_at)
    values (old.org_id, old.id, old.version, old.name, old.text, old.updated_at)
    on conflict do nothing;
    -- The newest hundred; numbers between them are of changes to something else.
    delete from project_versions where project_id = old.id and version <= (
        select version from project_versions where project_id = old.id
        order by version desc offset 100 limit 1);
    return null;
end $$;
create trigger keep_version after update of name, text on projects
    for each row when ((old.name, old.text) is distinct from (new.name, new.text))
    execute function keep_project_version();
