drop view money_violations;
drop trigger note_change on subscriptions;
drop trigger note_begin on subscriptions;
drop function note_subscription_history;
drop table subscription_history;
alter table stripe_events
    drop column last_error,
    drop column failures,
    drop column charge_id,
    drop column payment_intent_id;
drop table disputes;
drop table refunds;
alter table payments drop column returned_cents, drop column payment_intent_id;
