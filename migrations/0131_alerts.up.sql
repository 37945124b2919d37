-- What is wrong with the product: one open alert a rule, until it is resolved.

create table alerts (
    id          uuid        primary key,
    rule        text        not null,
    value       bigint      not null,
    threshold   bigint      not null,
    started_at  timestamptz not null,
    -- Since when the rule is kept again; it ends the alert when that has lasted.
    well_since  timestamptz,
    notices     integer     not null default 0,
    notified_at timestamptz,
    resolved_at timestamptz
);

create unique index alert_is_open_once on alerts (rule) where resolved_at is null;
create index alerts_by_time on alerts (id desc);

create table alert_silences (
    id         uuid        primary key,
    -- All rules, if it names none.
    rule       text,
    reason     text        not null,
    until      timestamptz not null,
    created_at timestamptz not null
);

create index alert_silences_by_end on alert_silences (until);

-- How requests were answered, minute by minute, by all instances together.
create table alert_answers (
    minute  timestamptz primary key,
    answers bigint      not null,
    errors  bigint      not null
);
