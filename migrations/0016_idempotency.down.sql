drop table idempotency_effects;
drop table idempotency_keys;
