-- Instances remember what callers are worth and hear of changes through NOTIFY: see db::Changes. The
-- payload is the id that the change is about; the argument names the column that has it.
create function announce_change() returns trigger language plpgsql as $$
begin
    perform pg_notify('changes', to_jsonb(coalesce(new, old)) ->> tg_argv[0]);
    return null;
end $$;

create trigger announce_change after update on users
    for each row when (old.* is distinct from new.*) execute function announce_change('id');
create trigger announce_end after delete on users
    for each row execute function announce_change('id');

create trigger announce_change after update or delete on memberships
    for each row execute function announce_change('user_id');

-- Committing a notification takes a lock that all of them share, so what happens often is not
-- announced: the use of a key, the refreshing of a session, the purge of dead ones.
create trigger announce_change after update on api_keys
    for each row when (to_jsonb(old) - 'last_used_at' is distinct from to_jsonb(new) - 'last_used_at')
    execute function announce_change('id');
create trigger announce_end after delete on api_keys
    for each row execute function announce_change('id');

create trigger announce_change after update on sessions
    for each row when (old.revoked_at is distinct from new.revoked_at
                       or old.user_id is distinct from new.user_id
                       or old.org_id is distinct from new.org_id)
    execute function announce_change('id');
create trigger announce_end after delete on sessions
    for each row when (old.revoked_at is null and old.expires_at > now())
    execute function announce_change('id');

create trigger announce_change after update on entitlements
    for each row when (to_jsonb(old) - 'updated_at' is distinct from to_jsonb(new) - 'updated_at')
    execute function announce_change('org_id');
create trigger announce_start after insert or delete on entitlements
    for each row execute function announce_change('org_id');
