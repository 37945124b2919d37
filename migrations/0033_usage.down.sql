delete from usage_rollups where outcome = 'cached';
delete from usage_records where outcome = 'cached';
alter table usage_records
    drop constraint usage_records_outcome_check,
    add constraint usage_records_outcome_check check (outcome in ('succeeded', 'partial', 'unknown'));
