-- Limits that must hold across instances and restarts: sign-in, verification, reset.
-- GCRA: the theoretical arrival time of the next conforming request..

create table rate_limits (
    key                      text        primary key,
    theoretical_arrival_time timestamptz not null
);
