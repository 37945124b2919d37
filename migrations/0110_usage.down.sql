drop function usage_fresh_of;
drop view usage_fresh;
create view usage_fresh with (security_invoker = true) as
select org_id, created_at as slot, provider, model, operation, outcome, paid_by, user_id, api_key_id, project_id,
       input_tokens, cached_input_tokens, cache_write_tokens + long_cache_write_tokens as cache_write_tokens,
       output_tokens, images, cost_nano_usd, credits
from usage_records
where xid >= (select xid from usage_watermark);
grant select on usage_fresh to app_tenant;
create function usage_fresh_of(org uuid) returns setof usage_fresh language sql stable
set enable_seqscan = off set enable_bitmapscan = off
as $$ select * from usage_fresh where org_id = org $$;
create function usage_fresh_of_all() returns setof usage_fresh language sql stable
set enable_seqscan = off
as $$ select * from usage_fresh $$;
