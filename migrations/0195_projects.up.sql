-- What a project says, where it is put away, and how it is found. It writes the table anew and locks it meanwhile:
-- nothing to wait for while projects are names only.

alter table projects
    add column text        text not null default '',
    add column folder      text,
    add column cover_id    uuid references assets on delete set null,
    add column archived_at timestamptz,
    -- A column, because row-level security keeps conditions on what a function makes of one from using an index.
    add column name_key    text        not null generated always as (lower(name)) stored,
    -- Words as they are, not their stems, since customers write in any language. Punctuation parts them.
    add column search      tsvector not null generated always as (to_tsvector('simple', translate(
        name || ' ' || text, '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', repeat(' ', 32)))) stored;

drop index projects_by_org;
create index projects_by_creation on projects (org_id, created_at, id);
create index projects_by_update   on projects (org_id, updated_at, id);
create index projects_by_name     on projects (org_id, name_key, id);
create index projects_by_folder   on projects (org_id, folder) where folder is not null;
create index projects_by_words    on projects using gin (search);
create index projects_by_cover    on projects (cover_id) where cover_id is not null;
create index projects_to_purge    on projects (deleted_at) where deleted_at is not null;
