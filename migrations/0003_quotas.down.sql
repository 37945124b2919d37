drop view ledger_violations;
drop view hold_draws;
drop table ledger_entries;
drop function refuse_change;
drop table holds;
drop table grants;
drop table budgets;
drop table entitlements;
