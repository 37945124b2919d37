drop index usage_rollups_by_project;
