-- Roll-ups of what was called, exact at any moment, so that reports never read months of raw rows.

-- Which transaction wrote the row. Transactions commit in another order than they began, so no time can
-- tell what is new; but below the oldest transaction in progress nothing can ever appear any more.
alter table usage_records
    add column xid     bigint not null default pg_current_xact_id()::text::bigint,
    add column seconds bigint not null default 0 check (seconds >= 0);

-- Every report reads the rows that are not rolled up yet through the first, the roll-up through the second.
create index usage_records_by_org_and_xid on usage_records (org_id, xid);
create index usage_records_by_xid on usage_records using brin (xid) with (autosummarize = on);

-- A quarter of an hour, because there are time zones whose days begin at one. Each call is counted twice:
-- in a line of full detail, and in one without user, key and project, of which there are far fewer.
create table usage_rollups (
    org_id              uuid        not null references orgs,
    detail              boolean     not null,
    slot                timestamptz not null,
    provider            text        not null,
    model               text        not null,
    operation           text        not null,
    outcome             text        not null,
    paid_by             text        not null,
    user_id             uuid,
    api_key_id          uuid,
    project_id          uuid,
    calls               bigint      not null,
    input_tokens        bigint      not null,
    cached_input_tokens bigint      not null,
    output_tokens       bigint      not null,
    images              bigint      not null,
    seconds             bigint      not null,
    cost_nano_usd       bigint      not null,
    credits             bigint      not null,
    constraint usage_rollup_line unique nulls not distinct
        (org_id, detail, slot, provider, model, operation, outcome, paid_by, user_id, api_key_id, project_id)
);

create index usage_rollups_by_slot on usage_rollups (slot) where not detail;
call isolate_by_org('usage_rollups');
revoke insert, update, delete on usage_rollups from app_tenant;

-- One row: calls of transactions below `xid` are in the roll-ups, and nowhere else is that written down.
-- Raw rows are complete from `raw_from` on; older ones may have been dropped.
create table usage_watermark (
    one      boolean     primary key default true check (one),
    xid      bigint      not null,
    raw_from timestamptz not null
);

insert into usage_watermark values (true, 0, '-infinity');
grant select on usage_watermark to app_tenant;

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
