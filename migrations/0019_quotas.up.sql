-- Who was told that a budget fills up: once per budget, period and threshold, in percent.
create table budget_alerts (
    budget_id    uuid        not null references budgets on delete cascade,
    period_start timestamptz not null,
    threshold    smallint    not null check (threshold in (50, 80, 100)),
    created_at   timestamptz not null,
    primary key (budget_id, period_start, threshold)
);
