-- Instances that serve the API. Without Redis each of them gives away its share of every limit.
create table instances (
    id         uuid        primary key,
    expires_at timestamptz not null
);

-- What an org's admins let one key do at most, within the limits of the plan.
alter table api_keys
    add column requests_per_minute integer check (requests_per_minute between 1 and 1000000);
