-- The calls that are not rolled up yet are found by the number of their transaction.

create or replace view usage_fresh with (security_invoker = true) as
select org_id, created_at as slot, provider, model, operation, outcome, paid_by, user_id, api_key_id, project_id,
       input_tokens, cached_input_tokens, cache_write_tokens + long_cache_write_tokens as cache_write_tokens,
       output_tokens, images, cost_nano_usd, credits, xid
from usage_records
where xid >= (select xid from usage_watermark);

-- Those of an org, or of everybody (the nil id). The watermark is a constant to the plan of this statement, so the
-- statistics tell that hardly any call is above it. Compared with a subquery a third of all calls seem to be, and
-- which index is read is a matter of luck.
drop function usage_fresh_of, usage_fresh_of_all;
create function usage_fresh_of(org uuid) returns setof usage_fresh language plpgsql stable
set plan_cache_mode = force_custom_plan set enable_seqscan = off
as $$
declare
    watermark constant bigint := (select xid from usage_watermark);
begin
    return query
    select * from usage_fresh
    where xid >= watermark and (org_id = org or org = '00000000-0000-0000-0000-000000000000');
end $$;
