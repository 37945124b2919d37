-- Whether the job that applies it is queued. Taking events in only stores them: what is queued for each comes after.
alter table stripe_events add column queued_at timestamptz;
update stripe_events set queued_at = received_at;

create index stripe_events_unqueued on stripe_events (id) where queued_at is null and handled_at is null;
