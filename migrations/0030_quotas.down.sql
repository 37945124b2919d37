alter table holds
    add constraint holds_paid_by_check check (paid_by in ('plan', 'credits')),
    add constraint holds_cost_nano_usd_check check (cost_nano_usd >= 0),
    add constraint holds_credits_check check (credits >= 0);

drop trigger check_budget on budgets;
drop function check_budget();

alter table budgets
    drop constraint budget_counters_are_not_negative,
    add constraint budgets_scope_check check (scope in ('global', 'org', 'project', 'user', 'key')),
    add constraint budgets_kind_check check (kind in ('limit', 'included')),
    add constraint budgets_period_check check (period in ('day', 'month', 'lifetime')),
    add constraint budgets_unit_check check (unit in ('requests', 'tokens', 'nano_usd', 'unknowns')),
    add constraint budget_scope_fits check (
        (scope = 'global') = (org_id is null)
        and (scope in ('project', 'user', 'key')) = (subject_id is not null)),
    add constraint budgets_amount_check check (amount >= 0),
    add constraint budgets_raised_by_check check (raised_by >= 0),
    add constraint budgets_spent_check check (spent >= 0),
    add constraint budgets_held_check check (held >= 0),
    add constraint budgets_highest_amount_check check (highest_amount >= 0),
    add constraint budgets_overrun_check check (overrun >= 0);
