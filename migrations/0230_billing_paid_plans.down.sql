alter table subscriptions drop column paid_plans;
