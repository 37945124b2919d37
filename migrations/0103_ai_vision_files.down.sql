delete from ai_files where purpose = 'vision';
alter table ai_files
    drop constraint ai_files_purpose_check,
    add constraint ai_files_purpose_check check (purpose in ('batch', 'batch_output'));
