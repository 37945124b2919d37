revoke select on models, prices from app_tenant;
drop table provider_costs;
drop table model_snapshots;
alter table prices drop column credits_by_tier, drop column batch_percent;
