-- The price book complete: versions, dated names, plans; and what providers say that calls cost.

-- What a batch costs, in percent of the price; null: there are none. How many credits a standard
-- generation draws on plans that differ: {"free": 2}.
alter table prices
    add column batch_percent   smallint check (batch_percent between 1 and 100),
    add column credits_by_tier jsonb not null default '{}';

-- Dated names of a model that cost what it costs. One that costs something else is a model of its own.
create table model_snapshots (
    model_id uuid not null references models on delete cascade,
    name     text not null,
    primary key (model_id, name)
);

-- What providers charged, by their own account.
create table provider_costs (
    provider      text        not null,
    model         text        not null,
    day           date        not null,
    cost_nano_usd bigint      not null check (cost_nano_usd >= 0),
    imported_at   timestamptz not null,
    primary key (provider, day, model)
);

-- What customers were charged by is no secret: their savings are told from it.
grant select on models, prices to app_tenant;
