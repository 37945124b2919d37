-- What somebody and a model said to each other.

create table conversations (
    id             uuid        primary key,
    org_id         uuid        not null references orgs,
    user_id        uuid        not null references users,
    title          text        not null,
    persona_id     uuid        references personas on delete set null,
    -- Of what was said before, that goes with a new message.
    context_tokens integer     not null check (context_tokens > 0),
    created_at     timestamptz not null,
    updated_at     timestamptz not null
);
create index conversations_by_person on conversations (org_id, user_id, id desc);
create index conversations_by_persona on conversations (persona_id) where persona_id is not null;
create index conversations_to_purge on conversations (updated_at);
call isolate_by_org('conversations');

create table conversation_messages (
    conversation_id uuid        not null references conversations on delete cascade,
    position        integer     not null,
    org_id          uuid        not null references orgs,
    role            text        not null check (role in ('user', 'assistant')),
    content         text        not null,
    model           text,
    call_id         uuid,
    created_at      timestamptz not null,
    primary key (conversation_id, position)
);
call isolate_by_org('conversation_messages');
