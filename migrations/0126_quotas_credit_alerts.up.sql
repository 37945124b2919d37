-- Of which credits an org was told that they run out: those it has had since its newest grant.
create table credit_alerts (
    org_id   uuid        primary key references orgs,
    grant_id uuid        not null,
    is_empty boolean     not null,
    told_at  timestamptz not null
);
call isolate_by_org('credit_alerts');
revoke insert, update, delete on credit_alerts from app_tenant;
