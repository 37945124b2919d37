-- Every index costs when an event arrives. One finds what waits, whether or not it is queued; few events name a payment.
drop index stripe_events_unqueued;
drop index stripe_events_waiting;
create index stripe_events_waiting on stripe_events (queued_at, received_at) where handled_at is null;

drop index stripe_events_by_payment;
create index stripe_events_by_payment on stripe_events (payment_intent_id) where payment_intent_id is not null;

-- Makes sure that a job, of which there is one for all, begins after the transaction has ended. It is locked, so
-- that no worker begins it before; shared, so that others who need it do not wait.
create function ensure_job(name text, payload json, attempts int) returns void
language plpgsql
as $$
begin
    perform from graphile_worker._private_jobs
        where key = name and locked_at is null and graphile_worker._private_jobs.attempts = 0 and run_at <= now()
        for share;
    if not found then
        perform graphile_worker.add_job(
            identifier => name, payload => payload, max_attempts => attempts, job_key => name);
    end if;
end
$$;
revoke execute on function ensure_job from public;
