drop table project_exports;
