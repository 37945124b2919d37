-- Images that prompts name by their id.
alter table ai_files
    drop constraint ai_files_purpose_check,
    add constraint ai_files_purpose_check check (purpose in ('batch', 'batch_output', 'vision'));
