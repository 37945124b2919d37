alter table refresh_tokens drop column successors, drop column superseded;

drop trigger announce_change on sessions;
create trigger announce_change after update on sessions
    for each row when (old.revoked_at is distinct from new.revoked_at
                       or old.user_id is distinct from new.user_id
                       or old.org_id is distinct from new.org_id)
    execute function announce_change('id');
alter table sessions drop column authenticated_at;

drop table recovery_codes, second_factors, sign_in_challenges, magic_links;

delete from email_tokens where purpose in ('change_email', 'undo_email_change');
alter table email_tokens
    drop constraint email_tokens_purpose_check,
    add constraint email_tokens_purpose_check check (purpose in ('verify_email', 'reset_password'));

update users set password_hash = '' where password_hash is null;
alter table users alter column password_hash set not null;

drop table registrations;
