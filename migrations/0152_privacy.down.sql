drop table deletion_steps;
drop table deletions;
