-- What may stop or change AI calls at run time: the kill switch, and the steps taken before a budget
-- is exhausted. One row for each org that has settings of its own, and one, without an org, for all.

create table ai_controls (
    org_id         uuid        references orgs,
    -- Present while AI calls are switched off.
    stopped_by     text        check (stopped_by in ('owner', 'operator', 'anomaly')),
    stop_reason    text,
    stopped_at     timestamptz,
    -- From this percentage of any budget on, the models named in cheaper are replaced.
    cheaper_from   smallint    check (cheaper_from between 1 and 100),
    cheaper        jsonb       not null default '{}',
    -- What becomes of calls nobody waits for when a budget is exhausted.
    when_exhausted text        not null default 'refuse' check (when_exhausted in ('refuse', 'wait')),
    version        bigint      not null default 1,
    updated_at     timestamptz not null,
    constraint ai_control_exists_once unique nulls not distinct (org_id),
    constraint ai_stop_is_whole check (
        num_nulls(stopped_by, stop_reason, stopped_at) in (0, 3))
);

call isolate_by_org('ai_controls');
revoke delete on ai_controls from app_tenant;

create function announce_ai_control() returns trigger language plpgsql as $$
begin
    perform pg_notify('changes', coalesce(new.org_id, '00000000-0000-0000-0000-000000000000')::text);
    return null;
end $$;

create trigger announce_change after insert or update on ai_controls
    for each row execute function announce_ai_control();
