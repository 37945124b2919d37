alter table api_keys drop column requests_per_minute;

drop table instances;
