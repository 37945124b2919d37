-- Roll-ups by the quarter of an hour, the hour and the day, of each org and of all together: a report reads the
-- coarsest lines that fit into it, few of them however many calls they stand for.

drop view usage_violations, usage_lines;

-- The platform's lines are under the nil id, as its books are. They have no detail.
alter table usage_rollups
    drop constraint usage_rollups_org_id_fkey,
    drop constraint usage_rollup_line,
    add column grain smallint not null default 15 check (grain in (15, 60, 1440)),
    add column cache_write_tokens      bigint not null default 0,
    add column long_cache_write_tokens bigint not null default 0;
alter table usage_rollups alter column grain drop default;

-- Lines are found by the first four columns, and changed in place.
alter table usage_rollups
    add constraint usage_rollup_line unique nulls not distinct
        (org_id, detail, grain, slot, provider, model, operation, outcome, paid_by, user_id, api_key_id, project_id)
        with (fillfactor = 90),
    set (fillfactor = 80);
drop index usage_rollups_by_slot;
create index usage_rollups_by_day on usage_rollups (slot) where grain = 1440;

-- Which lines a call counts in, and over how many minutes each stands. Lines of full detail are nearly as many
-- as calls, whatever they stand for: fewer kinds of them are kept.
create view usage_grains as
select detail, whole, grain::smallint
from (values (false, false, 15), (false, false, 60), (false, false, 1440),
             (true, false, 15), (true, false, 1440),
             (false, true, 15), (false, true, 60), (false, true, 1440)) as lines (detail, whole, grain);

insert into usage_rollups
select case when g.whole then '00000000-0000-0000-0000-000000000000' else org_id end, r.detail,
       date_bin(make_interval(mins => g.grain), slot, '2000-01-01 00:00:00+00'), provider, model, operation,
       outcome, paid_by, user_id, api_key_id, project_id, sum(calls), sum(input_tokens), sum(cached_input_tokens),
       sum(output_tokens), sum(images), sum(seconds), sum(cost_nano_usd), sum(credits), g.grain
from usage_rollups r
join usage_grains g on g.detail = r.detail and (g.whole or g.grain > 15)
group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, g.grain;

-- What the calls of some transactions add to the roll-ups. They are added up by the quarter of an hour first, so that
-- many calls are read once and not once for each line that they count in.
create function usage_lines(first_xid bigint, end_xid bigint) returns table (
    org_id uuid, detail boolean, grain smallint, slot timestamptz, provider text, model text, operation text,
    outcome text, paid_by text, user_id uuid, api_key_id uuid, project_id uuid, calls bigint, input_tokens bigint,
    cached_input_tokens bigint, cache_write_tokens bigint, long_cache_write_tokens bigint, output_tokens bigint,
    images bigint, seconds bigint, cost_nano_usd bigint, credits bigint)
language sql stable as $$
    with quarters as materialized (
        select org_id, date_bin('15 minutes', created_at, '2000-01-01 00:00:00+00') as slot, provider, model,
               operation, outcome, paid_by, user_id, api_key_id, project_id, count(*) as calls,
               sum(input_tokens) as input, sum(cached_input_tokens) as cached, sum(cache_write_tokens) as written,
               sum(long_cache_write_tokens) as long_written, sum(output_tokens) as output, sum(images) as images,
               sum(seconds) as seconds, sum(cost_nano_usd) as cost, sum(credits) as credits
        from usage_records
        where xid >= first_xid and xid < end_xid
        group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    select case when whole then '00000000-0000-0000-0000-000000000000' else q.org_id end, detail, grain,
           date_bin(make_interval(mins => grain), q.slot, '2000-01-01 00:00:00+00'),
           provider, model, operation, outcome, paid_by,
           case when detail then user_id end,
           case when detail then api_key_id end,
           case when detail then project_id end,
           sum(calls)::bigint, sum(input)::bigint, sum(cached)::bigint, sum(written)::bigint,
           sum(long_written)::bigint, sum(output)::bigint, sum(images)::bigint, sum(seconds)::bigint,
           sum(cost)::bigint, sum(credits)::bigint
    from quarters q, usage_grains
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
$$;

-- Lines of the roll-ups that differ from the calls they stand for; none, if they are right. A line that began
-- before the calls that are kept cannot be compared.
create view usage_violations as
select 'rollup_is_sum_of_calls' as rule,
       format('%s %s', org_id, slot) as subject,
       format('%s minutes %s %s %s: %s calls, %s nano-USD too many', grain,
              case when detail then 'detail' else 'total' end, provider, model, sum(calls), sum(cost)) as detail,
       slot
from (
    select org_id, detail, grain, slot, provider, model, operation, outcome, paid_by, user_id, api_key_id,
           project_id, calls, input_tokens, cached_input_tokens, cache_write_tokens, long_cache_write_tokens,
           output_tokens, images, seconds, cost_nano_usd as cost, credits
    from usage_rollups
    union all
    select org_id, detail, grain, slot, provider, model, operation, outcome, paid_by, user_id, api_key_id,
           project_id, -calls, -input_tokens, -cached_input_tokens, -cache_write_tokens, -long_cache_write_tokens,
           -output_tokens, -images, -seconds, -cost_nano_usd, -credits
    from usage_lines(0, (select xid from usage_watermark))
) line
where slot >= (select raw_from from usage_watermark)
group by org_id, detail, grain, slot, provider, model, operation, outcome, paid_by, user_id, api_key_id, project_id
having (sum(calls), sum(input_tokens), sum(cached_input_tokens), sum(cache_write_tokens),
        sum(long_cache_write_tokens), sum(output_tokens), sum(images), sum(seconds), sum(cost), sum(credits))
    <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

-- The calls that are not rolled up yet, for whoever may see them.
create view usage_fresh with (security_invoker = true) as
select org_id, created_at as slot, provider, model, operation, outcome, paid_by, user_id, api_key_id, project_id,
       input_tokens, cached_input_tokens, cache_write_tokens + long_cache_write_tokens as cache_write_tokens,
       output_tokens, images, cost_nano_usd, credits
from usage_records
where xid >= (select xid from usage_watermark);
grant select on usage_fresh to app_tenant;

-- Those of an org, and of everybody. The settings keep them from being looked for among the calls that are rolled
-- up, whatever the statistics say: an org with most of the calls looks as if an index were no use.
create function usage_fresh_of(org uuid) returns setof usage_fresh language sql stable
set enable_seqscan = off set enable_bitmapscan = off
as $$ select * from usage_fresh where org_id = org $$;

create function usage_fresh_of_all() returns setof usage_fresh language sql stable
set enable_seqscan = off
as $$ select * from usage_fresh $$;
