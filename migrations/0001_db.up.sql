-- The roots that any table may reference, and how a table is closed to other orgs.

create table orgs (
    id         uuid        primary key,
    name       text        not null,
    time_zone  text        not null default 'UTC',
    created_at timestamptz not null
);

create table users (
    id                uuid        primary key,
    email             text        not null,
    name              text        not null,
    password_hash     text        not null,
    created_at        timestamptz not null,
    email_verified_at timestamptz,
    disabled_at       timestamptz
);

create unique index users_email_taken on users (lower(email));

-- The org that the current transaction serves, as set by Db::tenant. Null outside of one.
create function current_org() returns uuid language sql stable
    return nullif(current_setting('app.org_id', true), '')::uuid;

-- Lets the tenant role see and write only the rows of its org.
create procedure isolate_by_org(relation regclass) language plpgsql as $$
begin
    execute format('alter table %s enable row level security', relation);
    execute format(
        'create policy tenant on %s to app_tenant using (org_id = current_org()) with check (org_id = current_org())',
        relation);
    execute format('grant select, insert, update, delete on %s to app_tenant', relation);
end $$;

alter table orgs enable row level security;
create policy tenant on orgs to app_tenant using (id = current_org()) with check (id = current_org());
grant select, update on orgs to app_tenant;
