drop table job_items;
drop table jobs;
drop sequence job_turns;
