-- Requests that carry an Idempotency-Key. `id` is a hash of the caller, the operation and the key.
-- `answer` is null while the request is in flight: encrypted with a key that is derived from
-- AUTH_SECRET and the Idempotency-Key, so that neither alone can read it.
create table idempotency_keys (
    id          bytea       primary key,
    org_id      uuid        not null references orgs,
    -- Of the method, the address and the body: the same key must mean the same request.
    fingerprint bytea       not null,
    -- Who answers it: an attempt that lost its lease to a later one must not answer any more.
    attempt     uuid        not null,
    lease_until timestamptz not null,
    answer      bytea,
    expires_at  timestamptz not null
);

create index idempotency_keys_by_expiry on idempotency_keys (expires_at);
call isolate_by_org('idempotency_keys');

-- Written first thing in every transaction of an attempt, so it is there exactly if one was
-- committed. Without a unique key on the attempt: transactions of one attempt never wait for each other.
create table idempotency_effects (
    key_id  bytea not null references idempotency_keys on delete cascade,
    org_id  uuid  not null references orgs,
    attempt uuid  not null
);

create index idempotency_effects_by_attempt on idempotency_effects (attempt);
create index idempotency_effects_by_key on idempotency_effects (key_id);
call isolate_by_org('idempotency_effects');
