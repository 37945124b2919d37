-- Who registers with an account elsewhere may have been invited.
alter table social_logins add column invite_code_hash bytea;
