drop table invitations, ownership_transfers;
drop trigger announce_change on orgs;
alter table users drop column suspension_reason;
alter table orgs
    drop constraint org_suspended_for_a_reason,
    drop column version,
    drop column suspended_at,
    drop column suspension_reason;
