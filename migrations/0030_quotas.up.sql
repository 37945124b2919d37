-- Every statement that writes a table parses its CHECK constraints anew, and those of budgets and holds were a fifth of
-- what a small batch costs. The counters keep one. What people set is checked when they set it. Holds are written
-- by `book` alone, from values that the program's types have checked, and live for minutes.
alter table budgets
    drop constraint budgets_scope_check,
    drop constraint budgets_kind_check,
    drop constraint budgets_period_check,
    drop constraint budgets_unit_check,
    drop constraint budget_scope_fits,
    drop constraint budgets_amount_check,
    drop constraint budgets_raised_by_check,
    drop constraint budgets_spent_check,
    drop constraint budgets_held_check,
    drop constraint budgets_highest_amount_check,
    drop constraint budgets_overrun_check,
    add constraint budget_counters_are_not_negative
        check (least(spent, held, overrun, highest_amount) >= 0);

create function check_budget() returns trigger language plpgsql as $$
begin
    if new.scope not in ('global', 'org', 'project', 'user', 'key')
       or new.kind not in ('limit', 'included')
       or new.period not in ('day', 'month', 'lifetime')
       or new.unit not in ('requests', 'tokens', 'nano_usd', 'unknowns')
       or (new.scope = 'global') <> (new.org_id is null)
       or (new.scope in ('project', 'user', 'key')) <> (new.subject_id is not null)
       or new.amount < 0 or new.raised_by < 0
    then
        raise check_violation using
            message = 'there is no such budget', table = 'budgets', constraint = 'budget_fits';
    end if;
    return new;
end $$;

create trigger check_budget
    before insert or update of scope, org_id, subject_id, kind, period, unit, amount, raised_by on budgets
    for each row execute function check_budget();

alter table holds
    drop constraint holds_paid_by_check,
    drop constraint holds_cost_nano_usd_check,
    drop constraint holds_credits_check;
