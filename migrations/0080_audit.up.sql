-- The log is sealed in chains, one for each org and one for the platform: who changes, removes or
-- inserts an event afterwards breaks its chain. Sealing follows writing within a minute, so that those
-- who write do not wait for each other.

-- Events that are in no chain yet; written by a trigger, in the transaction of the event.
create table audit_unsealed (
    event_id   uuid        primary key,
    org_id     uuid,
    created_at timestamptz not null
);

call isolate_by_org('audit_unsealed');
revoke select, update, delete on audit_unsealed from app_tenant;

create function await_seal() returns trigger language plpgsql as $$
begin
    insert into audit_unsealed values (new.id, new.org_id, new.created_at);
    return null;
end $$;

create trigger await_seal after insert on audit_events for each row execute function await_seal();

insert into audit_unsealed select id, org_id, created_at from audit_events;

-- hash = SHA-256 of the hash before, the position, and what the event is. Seals outlive their events.
create table audit_seals (
    org_id   uuid,
    seq      bigint      not null check (seq > 0),
    event_id uuid        not null constraint event_sealed_once unique,
    event_at timestamptz not null,
    digest   bytea       not null,
    hash     bytea       not null,
    constraint audit_chain_position unique nulls not distinct (org_id, seq)
);

call isolate_by_org('audit_seals');
revoke insert, update, delete on audit_seals from app_tenant;
create trigger append_only before update or delete or truncate on audit_seals
    for each statement execute function refuse_change();

-- Where each chain ends. The code is made with a secret that the database does not have; `secret` tells
-- with which, so that the codes are made anew when it is exchanged.
create table audit_chains (
    org_id uuid   constraint audit_chain_exists unique nulls not distinct,
    seq    bigint not null default 0,
    hash   bytea  not null default '',
    code   bytea  not null default '',
    secret bytea  not null default ''
);

call isolate_by_org('audit_chains');
revoke insert, update, delete on audit_chains from app_tenant;
