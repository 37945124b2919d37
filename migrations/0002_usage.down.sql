drop table usage_records;
drop table prices;
drop table models;
