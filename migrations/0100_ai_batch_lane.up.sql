-- Batches that a provider makes as a batch of its own, at its price for batches.

create table ai_provider_batches (
    id            uuid        primary key,
    org_id        uuid        not null references orgs,
    batch_id      uuid        not null references ai_batches on delete cascade,
    provider      text        not null,
    model         text        not null,
    -- What its calls cost, as it was when they were reserved.
    price_id      uuid        not null,
    price         jsonb       not null,
    -- Whose account it is in: a part of the hash of the provider's key.
    key_tag       text,
    input_file    text,
    -- The provider was asked to make it, and may have done so, whether we heard it or not.
    submitting_at timestamptz,
    -- As the provider calls it.
    provider_id   text,
    -- While somebody works on it, they say so again and again; one who stops has died.
    leased_until  timestamptz,
    -- What is not known by then never will be.
    gives_up_at   timestamptz not null,
    created_at    timestamptz not null,
    ended_at      timestamptz,
    unique (batch_id, provider, model, price_id)
);

create index ai_provider_batches_open on ai_provider_batches (created_at) where ended_at is null;
call isolate_by_org('ai_provider_batches');

alter table generations
    -- Not decided yet who makes it.
    add column unsorted boolean not null default false,
    -- The provider's batch that it is a part of; of others our own workers make the calls.
    add column provider_batch_id uuid references ai_provider_batches,
    -- What the provider is sent then, and the most that it can use.
    add column sent    text,
    add column at_most jsonb,
    add constraint generation_in_a_provider_batch_says_what_is_sent check
        (num_nulls(provider_batch_id, sent, at_most) in (0, 3));

drop index generations_next_of_batches;
-- The first lines of all batches come first, so that a long one does not hold up the others.
create index generations_next_of_batches on generations (line, id)
    where batch_id is not null and status = 'queued' and not_before is null
      and not unsorted and provider_batch_id is null;
create index generations_unsorted on generations (batch_id, line) where unsorted;
create index generations_by_provider_batch on generations (provider_batch_id, line)
    where provider_batch_id is not null;
