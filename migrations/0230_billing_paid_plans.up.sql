-- The plans of the running period that are paid, each from when on: years give credits long after their bills.
alter table subscriptions add column paid_plans jsonb not null default '[]';

update subscriptions
set paid_plans = jsonb_build_array(jsonb_build_object('plan', coalesce(credited_plan, plan), 'from', current_period_start))
where paid_until >= current_period_end;
