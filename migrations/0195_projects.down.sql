drop index projects_by_creation, projects_by_update, projects_by_name, projects_to_purge;
create index projects_by_org on projects (org_id, id) where deleted_at is null;
alter table projects
    drop column search,
    drop column name_key,
    drop column archived_at,
    drop column cover_id,
    drop column folder,
    drop column text;
