drop table subscription_changes;
