-- What is old enough is deleted, and rates are counted over some days.
create index emails_by_time on emails (created_at);
