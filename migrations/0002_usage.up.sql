-- What AI calls cost us, and what was called.

create table models (
    id                uuid primary key,
    provider          text not null,
    name              text not null,
    kind              text not null check (kind in ('chat', 'embedding', 'image')),
    max_output_tokens bigint not null default 0 check (max_output_tokens >= 0),
    unique (provider, name, kind)
);

-- Money is nano-USD. Token prices are per million tokens, as providers publish them: some cost
-- less than one nano-USD a token. A model without a price in force, or whose price is neither
-- given nor explicitly free, is refused.
create table prices (
    id                       uuid        primary key,
    model_id                 uuid        not null references models on delete cascade,
    effective_from           timestamptz not null,
    free                     boolean     not null default false,
    input_per_million        bigint      check (input_per_million >= 0),
    cached_input_per_million bigint      check (cached_input_per_million >= 0),
    output_per_million       bigint      check (output_per_million >= 0),
    per_image                bigint      check (per_image >= 0),
    per_second               bigint      check (per_second >= 0),
    per_request              bigint      check (per_request >= 0),
    credits                  bigint      not null default 1 check (credits >= 0),
    source                   text        not null,
    unique (model_id, effective_from),
    constraint price_given_or_free check (
        free = (num_nonnulls(input_per_million, cached_input_per_million, output_per_million,
                             per_image, per_second, per_request) = 0))
);

-- One row per finished AI call; the id is that of the hold which paid for it.
create table usage_records (
    id                  uuid        not null,
    org_id              uuid        not null references orgs,
    user_id             uuid,
    api_key_id          uuid,
    project_id          uuid,
    operation           text        not null,
    provider            text        not null,
    model               text        not null,
    price_id            uuid        not null,
    outcome             text        not null check (outcome in ('succeeded', 'partial', 'unknown')),
    paid_by             text        not null check (paid_by in ('plan', 'credits', 'platform')),
    input_tokens        bigint      not null check (input_tokens >= 0),
    cached_input_tokens bigint      not null check (cached_input_tokens between 0 and input_tokens),
    output_tokens       bigint      not null check (output_tokens >= 0),
    images              bigint      not null check (images >= 0),
    estimated           boolean     not null,
    cost_nano_usd       bigint      not null check (cost_nano_usd >= 0),
    credits             bigint      not null check (credits >= 0),
    request_id          text,
    reserved_at         timestamptz not null,
    created_at          timestamptz not null,
    primary key (id, created_at)
) partition by range (created_at);

create table usage_records_default partition of usage_records default;
create index usage_records_by_org on usage_records (org_id, created_at desc);

call isolate_by_org('usage_records');
revoke insert, update, delete on usage_records from app_tenant;
