drop table stripe_events;
drop table payments;
drop table subscriptions;
drop table checkouts;
drop table stripe_customers;
