-- What is sold, in every version there was: the newest is in force. Before the first, the program's own
-- file is. `source` is the digest of the file a version was read from; absent if an operator wrote it, who is then `created_by`.
create table catalogues (
    version    integer     primary key check (version > 0),
    content    jsonb       not null,
    source     text,
    created_by uuid,
    created_at timestamptz not null
);

revoke insert, update, delete on catalogues from app_tenant;

create function refuse_catalogue_change() returns trigger language plpgsql as $$
begin
    raise exception 'a version of the catalogue is never changed; publish a new one';
end $$;

create trigger catalogue_is_kept before update or delete on catalogues
    for each row execute function refuse_catalogue_change();

-- Instances remember the catalogue and hear of a new one: see billing::Catalogues.
create function announce_catalogue() returns trigger language plpgsql as $$
begin
    perform pg_notify('changes', '0193c000-0000-7000-8000-0000ca7a1096');
    return null;
end $$;

create trigger announce_change after insert on catalogues
    for each row execute function announce_catalogue();

-- The prices that we made at Stripe. One of each item is for sale; others are still paid by those who
-- subscribed when they were.
create table stripe_prices (
    id         text        primary key,
    item       text        not null,
    cents      bigint      not null check (cents > 0),
    active     boolean     not null,
    created_at timestamptz not null
);

create unique index stripe_price_for_sale_once on stripe_prices (item) where active;
revoke insert, update, delete on stripe_prices from app_tenant;
