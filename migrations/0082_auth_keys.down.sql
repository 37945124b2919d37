drop table impersonations;
alter table api_keys
    drop constraint api_key_overlap_ends,
    drop column previous_hash,
    drop column previous_expires_at;
