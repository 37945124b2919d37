drop table plan_grants;

drop index subscriptions_by_month;
drop index subscriptions_in_arrears;
alter table subscriptions
    drop column next_extra_seats,
    drop column next_interval,
    drop column next_plan,
    drop column schedule_id,
    drop column credited_plan,
    drop column credited_month,
    drop column reminders,
    drop column past_due_since,
    drop column paid_until,
    drop column trial_end,
    drop column catalogue_version,
    drop column extra_seats;

update checkouts set status = 'expired' where status = 'failed';
alter table checkouts
    drop constraint checkouts_status_check,
    add constraint checkouts_status_check check (status in ('open', 'paid', 'expired')),
    drop column trial_days,
    drop column price_id;
