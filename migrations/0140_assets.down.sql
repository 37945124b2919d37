drop table assets;
drop table uploads;
drop table asset_usage;
