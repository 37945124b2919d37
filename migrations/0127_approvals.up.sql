-- What members of an org ask outsiders to approve. An outsider has no account, only the link.

create table approvals (
    id          uuid        primary key,
    org_id      uuid        not null references orgs,
    asked_by    uuid        not null references users,
    email       text        not null,
    name        text        not null,
    title       text        not null,
    description text        not null,
    hash        bytea       not null unique,
    status      text        not null check (status in ('pending', 'approved', 'rejected', 'revoked')),
    comment     text,
    created_at  timestamptz not null,
    expires_at  timestamptz not null,
    decided_at  timestamptz,
    check ((status in ('approved', 'rejected')) = (decided_at is not null))
);

create index approvals_by_org on approvals (org_id, id desc);
call isolate_by_org('approvals');
