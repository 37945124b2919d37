-- Calls that the response cache answered are recorded too: they cost nothing.
alter table usage_records
    drop constraint usage_records_outcome_check,
    add constraint usage_records_outcome_check
        check (outcome in ('succeeded', 'partial', 'unknown', 'cached'));
