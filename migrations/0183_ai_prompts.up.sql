-- What operators have put in place of a prompt that is in the code. A version without a text takes it back.

create table ai_prompts (
    name       text        not null check (name <> ''),
    version    integer     not null check (version > 0),
    text       text,
    created_at timestamptz not null,
    primary key (name, version)
);

revoke insert, update, delete on ai_prompts from app_tenant;
