-- What a new org is entitled to. Absent: what the program was built with.
create table first_entitlement (
    only_row    boolean primary key default true check (only_row),
    entitlement jsonb   not null
);

revoke insert, update, delete on first_entitlement from app_tenant;
