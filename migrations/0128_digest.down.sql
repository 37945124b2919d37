drop table nudges;
drop table digest_runs;
