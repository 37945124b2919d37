drop procedure isolate_by_org;
drop table users;
drop table orgs;
drop function current_org;
