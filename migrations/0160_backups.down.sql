drop table restore_drills;
drop table backups;
