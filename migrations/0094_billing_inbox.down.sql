drop index stripe_events_unqueued;
alter table stripe_events drop column queued_at;
