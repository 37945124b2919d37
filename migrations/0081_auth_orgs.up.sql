-- Organizations with several people: invitations, transfers of ownership, suspension by operators.

alter table orgs
    add column version           bigint not null default 1,
    add column suspended_at      timestamptz,
    add column suspension_reason text,
    add constraint org_suspended_for_a_reason check ((suspended_at is null) = (suspension_reason is null));

-- Every caller in the org is affected at once.
create trigger announce_change after update on orgs
    for each row when (old.suspended_at is distinct from new.suspended_at)
    execute function announce_change('id');

alter table users add column suspension_reason text;

-- An invitation is bound to an address; the secret is in the link in the mail.
create table invitations (
    id          uuid        primary key,
    org_id      uuid        not null references orgs,
    email       text        not null,
    role        text        not null check (role in ('admin', 'member', 'billing', 'viewer')),
    invited_by  uuid        not null references users,
    hash        bytea       not null unique,
    created_at  timestamptz not null,
    sent_at     timestamptz not null,
    expires_at  timestamptz not null,
    accepted_at timestamptz,
    revoked_at  timestamptz
);

create unique index invitation_is_open on invitations (org_id, lower(email))
    where accepted_at is null and revoked_at is null;
create index invitations_by_org on invitations (org_id, id);
call isolate_by_org('invitations');

-- An owner's offer that the other person has not taken up yet.
create table ownership_transfers (
    org_id     uuid        primary key references orgs,
    from_user  uuid        not null references users,
    to_user    uuid        not null references users,
    created_at timestamptz not null,
    expires_at timestamptz not null
);

call isolate_by_org('ownership_transfers');
