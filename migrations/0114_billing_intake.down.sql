drop function ensure_job;

drop index stripe_events_by_payment;
create index stripe_events_by_payment on stripe_events (payment_intent_id);

drop index stripe_events_waiting;
create index stripe_events_waiting on stripe_events (received_at) where handled_at is null;
create index stripe_events_unqueued on stripe_events (id) where queued_at is null and handled_at is null;
