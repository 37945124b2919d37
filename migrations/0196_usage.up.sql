-- Roll-ups wait while this index is made; it has one line for each day, project and model.
-- What was spent on something so far is asked for many things at once, over all time.
create index usage_rollups_by_project on usage_rollups (org_id, project_id)
    where detail and grain = 1440 and project_id is not null;
