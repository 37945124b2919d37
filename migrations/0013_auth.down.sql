drop table operator_sessions, operator_recovery_codes, operator_enrolments;
alter table operators
    drop constraint operator_has_both_factors,
    drop column totp_secret,
    drop column totp_last_step,
    drop column enrolled_at;
-- No hash of any password: nobody gets in by it.
update operators set password_hash = '' where password_hash is null;
alter table operators alter column password_hash set not null;
