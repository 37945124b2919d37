drop table overage_reports;
alter table subscriptions drop column overage_credits, drop column overage_cents;
