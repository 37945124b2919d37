drop trigger append_only on audit_events;
create trigger append_only before update or delete on audit_events
    for each row execute function refuse_change();
drop function refuse_all_but_redaction();
drop table audit_redactions;
