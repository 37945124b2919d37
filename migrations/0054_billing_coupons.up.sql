-- Our own coupons. What has been redeemed is counted in the row that is locked to decide.
create table coupons (
    id              uuid        primary key,
    code            text        not null,
    kind            text        not null check (kind in ('percent', 'fixed', 'credits')),
    -- Percent, US cents or credits.
    amount          bigint      not null check (amount > 0 and (kind <> 'percent' or amount <= 100)),
    -- What it can be used for; empty: everything.
    items           text[]      not null,
    -- Bills of a plan that it applies to, in months; absent: all of them.
    months          integer     check (months > 0),
    max_redemptions bigint      check (max_redemptions > 0),
    redeemed        bigint      not null default 0 check (redeemed >= 0),
    expires_at      timestamptz,
    disabled_at     timestamptz,
    created_by      uuid,
    created_at      timestamptz not null,
    constraint coupon_not_overdrawn check (redeemed <= max_redemptions)
);

create unique index coupon_code_taken on coupons (upper(code));
revoke insert, update, delete on coupons from app_tenant;

-- Once by a person, and once for an org. That of a purchase which does not come about is given back.
create table coupon_redemptions (
    id          uuid        primary key,
    coupon_id   uuid        not null references coupons,
    org_id      uuid        not null references orgs,
    user_id     uuid        not null references users,
    checkout_id uuid        unique references checkouts,
    created_at  timestamptz not null,
    constraint coupon_redeemed_once_by_user unique (coupon_id, user_id),
    constraint coupon_redeemed_once_by_org unique (coupon_id, org_id)
);

create index coupon_redemptions_by_org on coupon_redemptions (org_id);
call isolate_by_org('coupon_redemptions');
revoke insert, update, delete on coupon_redemptions from app_tenant;

alter table checkouts add column coupon_id uuid references coupons;
