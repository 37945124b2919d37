-- Seats that nobody sits in are given up with their period. That is nobody's wish, and looked at once a period.

alter table subscription_changes alter column user_id drop not null;
alter table subscriptions add column seats_counted_for timestamptz;
