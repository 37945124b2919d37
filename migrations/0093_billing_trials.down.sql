alter table subscriptions drop column trial_reminded;
