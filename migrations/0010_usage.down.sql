drop view usage_violations;
drop view usage_lines;
drop table usage_watermark;
drop table usage_rollups;
drop index usage_records_by_xid;
drop index usage_records_by_org_and_xid;
alter table usage_records drop column seconds, drop column xid;
