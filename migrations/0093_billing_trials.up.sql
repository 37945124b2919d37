-- Whether people were told that it ends soon.
alter table subscriptions add column trial_reminded boolean not null default false;
