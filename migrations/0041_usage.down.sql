drop function usage_fresh_of, usage_fresh_of_all;
drop view usage_fresh, usage_violations;
drop function usage_lines;
drop view usage_grains;

delete from usage_rollups where grain <> 15 or not exists (select from orgs where id = org_id);
alter table usage_rollups
    drop constraint usage_rollup_line,
    drop column grain,
    drop column cache_write_tokens,
    drop column long_cache_write_tokens,
    add foreign key (org_id) references orgs,
    add constraint usage_rollup_line unique nulls not distinct
        (org_id, detail, slot, provider, model, operation, outcome, paid_by, user_id, api_key_id, project_id),
    reset (fillfactor);
create index usage_rollups_by_slot on usage_rollups (slot) where not detail;

-- What each call adds to the roll-ups.
create view usage_lines as
select org_id, detail,
       date_bin('15 minutes', created_at, timestamptz '2000-01-01 00:00:00+00') as slot,
       provider, model, operation, outcome, paid_by,
       case when detail then user_id end as user_id,
       case when detail then api_key_id end as api_key_id,
       case when detail then project_id end as project_id,
       input_tokens, cached_input_tokens, output_tokens, images, seconds, cost_nano_usd, credits, xid
from usage_records, (values (true), (false)) as lines (detail);

-- Lines of the roll-ups that differ from the calls they stand for; none, if they are right.
create view usage_violations as
select 'rollup_is_sum_of_calls' as rule,
       format('%s %s', org_id, slot) as subject,
       format('%s %s %s: %s calls, %s nano-USD too many',
              case when detail then 'detail' else 'total' end, provider, model, sum(calls), sum(cost)) as detail,
       slot
from (
    select org_id, detail, slot, provider, model, operation, outcome, paid_by, user_id, api_key_id, project_id,
           calls, input_tokens, cached_input_tokens, output_tokens, images, seconds, cost_nano_usd as cost, credits
    from usage_rollups
    union all
    select org_id, detail, slot, provider, model, operation, outcome, paid_by, user_id, api_key_id, project_id,
           -1, -input_tokens, -cached_input_tokens, -output_tokens, -images, -seconds, -cost_nano_usd, -credits
    from usage_lines
    where xid < (select xid from usage_watermark)
) line
where slot >= (select raw_from from usage_watermark)
group by org_id, detail, slot, provider, model, operation, outcome, paid_by, user_id, api_key_id, project_id
having (sum(calls), sum(input_tokens), sum(cached_input_tokens), sum(output_tokens), sum(images),
        sum(seconds), sum(cost), sum(credits)) <> (0, 0, 0, 0, 0, 0, 0, 0);
