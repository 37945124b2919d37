drop table email_person_days;
drop table email_days;
drop table email_preferences;
drop table email_suppressions;
drop table email_events;
drop index emails_undelivered;
drop index emails_by_provider_id;
update emails set status = 'sent' where status in ('delivered', 'complained');
update emails set status = 'dead' where status in ('bounced', 'suppressed');
alter table emails
    drop column provider_id,
    drop column provider,
    drop column category,
    drop constraint emails_status_check;
alter table emails add constraint emails_status_check check (status in ('queued', 'sent', 'dead'));
