drop table project_links;
