alter table checkouts drop column coupon_id;
drop table coupon_redemptions;
drop table coupons;
