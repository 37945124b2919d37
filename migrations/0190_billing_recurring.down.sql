alter table subscriptions drop column recurring_cents, drop column recurring_currency;
