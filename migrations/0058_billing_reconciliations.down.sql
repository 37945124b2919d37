drop index payments_by_time;
drop table reconciliations;
