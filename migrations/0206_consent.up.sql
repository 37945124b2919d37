-- Texts that people accept. Once published, a version is never changed: somebody may have accepted it.
create table policies (
    id           uuid        primary key,
    kind         text        not null check (kind in ('terms', 'privacy')),
    version      integer     not null check (version > 0),
    text         text        not null check (text <> ''),
    published_at timestamptz not null,
    unique (kind, version)
);

create trigger append_only before update or delete or truncate on policies
    for each statement execute function refuse_change();
revoke all on policies from app_tenant;

create table policy_acceptances (
    user_id     uuid        not null references users,
    policy_id   uuid        not null references policies,
    accepted_at timestamptz not null,
    ip          text        not null,
    primary key (user_id, policy_id)
);

revoke all on policy_acceptances from app_tenant;

-- Every decision of a person, in the order in which they were taken: the last one on a purpose counts.
create table consents (
    id         bigint      generated always as identity primary key,
    user_id    uuid        not null references users,
    purpose    text        not null check (purpose in ('analytics', 'marketing', 'training')),
    granted    boolean     not null,
    decided_at timestamptz not null
);

create index consents_newest on consents (user_id, purpose, id desc);
revoke all on consents from app_tenant;
