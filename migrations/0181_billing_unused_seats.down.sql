alter table subscriptions drop column seats_counted_for;
delete from subscription_changes where user_id is null;
alter table subscription_changes alter column user_id set not null;
