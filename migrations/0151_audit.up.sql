-- What is personal can be taken out of an event: by its redaction, which is made with a secret that the
-- database does not have, and in no other way. Without one, a changed event still breaks its chain.
create table audit_redactions (
    event_id uuid  primary key,
    -- Of the event as it is now.
    digest   bytea not null,
    code     bytea not null,
    -- With which secret the code was made.
    secret   bytea not null
);

revoke all on audit_redactions from app_tenant;

create function refuse_all_but_redaction() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE'
        and (old.id, old.org_id, old.actor_kind, old.actor_id, old.on_behalf_of, old.action, old.created_at)
            is not distinct from
            (new.id, new.org_id, new.actor_kind, new.actor_id, new.on_behalf_of, new.action, new.created_at)
        and exists (select from audit_redactions where event_id = new.id)
    then
        return new;
    end if;
    raise exception '% is append-only', tg_table_name;
end $$;

drop trigger append_only on audit_events;
create trigger append_only before update or delete on audit_events
    for each row execute function refuse_all_but_redaction();
