drop index stripe_events_by_payment;
drop index stripe_events_by_customer;
drop table billing_closures;
