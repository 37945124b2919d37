-- Features that are on for some. In memory of every instance, which hears of a change: see `flags::Flags`.
create table flags (
    key         text        primary key check (key ~ '^[a-z][a-z0-9_-]{0,62}$'),
    description text        not null,
    enabled     boolean     not null,
    percentage  smallint    not null check (percentage between 0 and 100),
    tiers       text[]      not null,
    orgs        uuid[]      not null,
    changed_at  timestamptz not null
);

-- Questions to the people who use the product. What is asked never changes; `ended_at` answers it.
create table experiments (
    key         text        primary key check (key ~ '^[a-z][a-z0-9_-]{0,62}$'),
    description text        not null,
    percentage  smallint    not null check (percentage between 1 and 100),
    sample      integer     not null check (sample > 0),
    begun_at    timestamptz not null,
    ends_at     timestamptz not null check (ends_at > begun_at),
    ended_at    timestamptz,
    winner      text        check (winner in ('control', 'treatment')),
    check (winner is null or ended_at is not null)
);

-- Who has met which variant, and did what was hoped for after that.
create table experiment_exposures (
    experiment   text        not null references experiments on delete cascade,
    user_id      uuid        not null references users,
    variant      text        not null check (variant in ('control', 'treatment')),
    exposed_at   timestamptz not null,
    converted_at timestamptz,
    primary key (experiment, user_id)
);

create index experiment_exposures_user on experiment_exposures (user_id);

revoke all on flags, experiments, experiment_exposures from app_tenant;

create function announce_flags() returns trigger language plpgsql as $$
begin
    perform pg_notify('changes', '0193c000-0000-7000-8000-00000000f1a6');
    return null;
end $$;

create trigger announce_change after insert or update or delete or truncate on flags
    for each statement execute function announce_flags();

create function announce_experiments() returns trigger language plpgsql as $$
begin
    perform pg_notify('changes', '0193c000-0000-7000-8000-000000e49e81');
    return null;
end $$;

create trigger announce_change after insert or update or delete or truncate on experiments
    for each statement execute function announce_experiments();
