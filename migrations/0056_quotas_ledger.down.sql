drop table ledger_close_lines, ledger_closes;
drop view grant_violations, grant_movements;
drop table grant_covers;
drop trigger books_change on grants;
create trigger books_change after insert or delete or update of expires_at, priority on grants
    for each row execute function note_books_change();
drop index grants_clawed_back, grants_to_expire;
update grants set revoked = least(revoked, amount);
alter table grants
    drop column movements,
    drop column lapsed,
    drop column clawed_back,
    drop constraint grant_revoked_not_negative,
    add constraint grants_check check (revoked between 0 and amount);
-- Before this there were no books of money: they are forgotten.
alter table ledger_entries disable trigger append_only;
delete from ledger_entries where unit <> 'credits';
alter table ledger_entries enable trigger append_only;
alter table ledger_entries
    drop constraint ledger_accounts_known,
    drop constraint ledger_credits_have_a_grant,
    drop constraint ledger_unit_known,
    add constraint ledger_entries_unit_check check (unit in ('credits', 'nano_usd'));
