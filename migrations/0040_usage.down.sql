alter type new_usage
    drop attribute cache_write_tokens,
    drop attribute long_cache_write_tokens,
    drop attribute in_batch;

create or replace function book(
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
            cost_nano_usd, credits, request_id, reserved_at, created_at, budgets, booked)
        select * from unnest(usage);
    end if;
end $$;

alter table usage_records
    drop constraint prompt_is_the_most,
    drop column cache_write_tokens,
    drop column long_cache_write_tokens,
    drop column in_batch;

alter table prices
    drop constraint price_given_or_free,
    drop column cache_write_per_million,
    drop column long_cache_write_per_million,
    add constraint price_given_or_free check (
        free = (num_nonnulls(input_per_million, cached_input_per_million, output_per_million,
                             per_image, per_second, per_request) = 0));
