-- That the client of somebody who was signed in failed, for tickets. What failed is in the log only, under the same id.
create table client_errors (
    id         uuid        primary key,
    org_id     uuid        not null references orgs,
    user_id    uuid        not null references users,
    release    text,
    request_id text,
    created_at timestamptz not null
);

create index client_errors_by_user on client_errors (user_id, id desc);
create index client_errors_by_org  on client_errors (org_id);
create index client_errors_by_age  on client_errors (created_at);
call isolate_by_org('client_errors');
