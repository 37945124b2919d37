drop function book, book_budgets, book_grants, counted_too;
drop type counters;

create type counters as (id uuid, period_start timestamptz, spent bigint, held bigint);

create function book_budgets(changes budget_change[]) returns setof counters language plpgsql as $$
begin
    return query update budgets b
    set period_start = n.starts,
        spent = n.spent + case when b.period_start = n.starts then b.spent else 0 end,
        held = n.held + case
            when n.version is null then b.held
            when b.version = n.version and b.period_start = n.began
                 and case when b.period_start = n.starts then b.spent + b.held else 0 end
                     between n.least and n.most
            then case when b.period_start = n.starts then b.held else 0 end
            else books_differ(n.id)
        end,
        overrun = n.overrun + case when b.period_start = n.starts then b.overrun else 0 end,
        highest_amount = case when b.period_start = n.starts then b.highest_amount else n.amount end,
        carried = case when b.period_start = n.starts then b.carried else 0 end
    from unnest(changes) n
    where b.id = n.id and (n.version is not null or b.period_start = n.began)
    returning b.id, b.period_start, b.spent, b.held;
end $$;

create function book_grants(changes grant_change[]) returns setof counters language plpgsql as $$
begin
    return query update grants g
    set spent = g.spent + n.spent,
        held = g.held + n.held + case
            when n.revoked <> g.revoked or g.spent + g.held not between n.least and n.most
            then books_differ(n.id)
            else 0
        end
    from unnest(changes) n
    where g.id = n.id
    returning g.id, null::timestamptz, g.spent, g.held;
end $$;

create function book(
    versions books_version[], ended hold_end[], budgets budget_change[], platform budget_change[],
    grants grant_change[], holds new_hold[], entries new_entry[], usage new_usage[])
returns setof counters language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set lock_timeout = '300ms' set plan_cache_mode = force_generic_plan
as $$
declare
    different uuid;
    gone uuid[];
begin
    select v.id into different
    from unnest(versions) v left join books b on b.id = v.id
    where coalesce(b.version, 0) <> v.version
    limit 1;
    if found then
        perform books_differ(different);
    end if;
    if cardinality(ended) > 0 then
        with deleted as (
            delete from holds h using unnest(ended) e
            where h.id = e.id and (e.if_expired_at is null or h.expires_at < e.if_expired_at)
            returning h.id)
        select array_agg(id) into gone from deleted;
        if coalesce(cardinality(gone), 0) < cardinality(ended) then
            select e.id into different from unnest(ended) e
            where gone is null or e.id <> all (gone)
            limit 1;
            perform books_differ(different);
        end if;
    end if;
    if cardinality(budgets) > 0 then
        return query select * from book_budgets(budgets);
    end if;
    if cardinality(platform) > 0 then
        return query select * from book_budgets(platform);
    end if;
    if cardinality(grants) > 0 then
        return query select * from book_grants(grants);
    end if;
    if cardinality(holds) > 0 then
        insert into holds (
            id, org_id, user_id, api_key_id, project_id, operation, provider, model, price_id,
            paid_by, cost_nano_usd, max_tokens, credits, draw_ids, draw_periods, draw_amounts,
            request_id, instance, created_at, expires_at)
        select * from unnest(holds);
    end if;
    if cardinality(entries) > 0 then
        insert into ledger_entries (
            id, org_id, unit, from_account, to_account, amount, grant_id, external_id, created_at)
        select id, org_id, 'credits', from_account, to_account, amount, grant_id, external_id, created_at
        from unnest(entries);
    end if;
    if cardinality(usage) > 0 then
        insert into usage_records (
            id, org_id, user_id, api_key_id, project_id, operation, provider, model, price_id,
            outcome, paid_by, input_tokens, cached_input_tokens, output_tokens, images, seconds, estimated,
            cost_nano_usd, credits, request_id, reserved_at, created_at, budgets, booked,
            cache_write_tokens, long_cache_write_tokens, in_batch)
        select * from unnest(usage);
    end if;
end $$;
