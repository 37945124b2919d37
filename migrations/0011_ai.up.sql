-- Which models serve what callers ask for. A change is a new version; the newest is in force. One
-- without rules removes the route.

create table ai_routes (
    name       text        not null check (name <> ''),
    version    integer     not null check (version > 0),
    rules      jsonb       not null,
    created_at timestamptz not null,
    primary key (name, version)
);

revoke insert, update, delete on ai_routes from app_tenant;

insert into ai_routes (name, version, created_at, rules) values ('auto', 1, '2026-11-21Z', '[
    {"operations": ["embedding"], "models": ["text-embedding-3-small"]},
    {"operations": ["image"], "models": ["gpt-image-1"]},
    {"tiers": ["free", "creator"], "models": ["gpt-4o-mini", "gpt-4.1-mini"]},
    {"prompt_bytes_at_most": 2000, "models": ["gpt-4o-mini", "gpt-4.1-mini"]},
    {"models": ["gpt-4.1", "gpt-4o"]}
]');

-- The most that a call may cost, told before it is made.
create table ai_quotes (
    id            uuid        primary key,
    org_id        uuid        not null references orgs,
    max_nano_usd  bigint      not null check (max_nano_usd >= 0),
    max_credits   bigint      not null check (max_credits >= 0),
    created_at    timestamptz not null,
    expires_at    timestamptz not null
);

create index ai_quotes_by_expiry on ai_quotes (expires_at);

call isolate_by_org('ai_quotes');
revoke update, delete on ai_quotes from app_tenant;
