drop index emails_by_time;
