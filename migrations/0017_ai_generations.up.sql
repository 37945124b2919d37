-- AI calls that nobody waits for: accepted, made later, their answer kept for a while. This is the one
-- place where prompts and answers are stored, for as long as expires_at says.

create table generations (
    id           uuid        primary key,
    org_id       uuid        not null references orgs,
    user_id      uuid        not null references users,
    api_key_id   uuid,
    operation    text        not null check (operation in ('chat', 'embedding', 'image')),
    -- As it was sent: text, because jsonb refuses U+0000.
    request      text        not null,
    status       text        not null check (status in ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    answer       text,
    problem      jsonb,
    -- While it runs, its process says so again and again; one that stops has died.
    leased_until timestamptz,
    not_before   timestamptz,
    created_at   timestamptz not null,
    started_at   timestamptz,
    finished_at  timestamptz,
    expires_at   timestamptz not null,
    constraint generation_is_leased_while_it_runs check ((status = 'running') = (leased_until is not null)),
    constraint generation_ends_once check ((status in ('succeeded', 'failed', 'cancelled')) = (finished_at is not null)),
    constraint generation_has_its_answer check ((status = 'succeeded') = (answer is not null)),
    constraint generation_has_its_problem check ((status = 'failed') = (problem is not null))
);

create index generations_by_org on generations (org_id, id desc);
create index generations_running on generations (leased_until) where status = 'running';
create index generations_by_expiry on generations (expires_at);
call isolate_by_org('generations');
