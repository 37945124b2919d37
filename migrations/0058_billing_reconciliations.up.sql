-- Comparisons of our books with Stripe's, and what differed.
create table reconciliations (
    id         uuid        primary key,
    since      timestamptz not null,
    created_at timestamptz not null,
    checked    jsonb       not null,
    findings   jsonb       not null,
    failure    text
);

revoke all on reconciliations from app_tenant;
create index payments_by_time on payments (created_at);
