-- Networks that get no answer. Every instance keeps the list in memory, and hears of changes under an
-- id of their own, since which network changed makes no difference.

create table ip_blocks (
    id         uuid        primary key,
    network    cidr        not null unique,
    reason     text        not null,
    -- Null: the product itself, after too many refused sign-ins.
    created_by uuid        references operators,
    created_at timestamptz not null,
    expires_at timestamptz
);

create function announce_ip_blocks() returns trigger language plpgsql as $$
begin
    perform pg_notify('changes', '01930000-0000-7000-8000-0000000b10c5');
    return null;
end $$;

create trigger announce_change after insert or update or delete on ip_blocks
    for each statement execute function announce_ip_blocks();
