drop trigger keep_version on projects;
drop function keep_project_version;
drop table project_versions;
