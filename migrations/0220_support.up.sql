-- What customers ask, and what they are answered. A ticket is its author's: the org sees nothing of it.
create table tickets (
    id         uuid        primary key,
    org_id     uuid        not null references orgs,
    user_id    uuid        not null references users,
    subject    text        not null,
    status     text        not null check (status in ('open', 'answered', 'closed')),
    plan       text        not null,
    request_id text,
    errors     jsonb       not null,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create index tickets_by_author on tickets (user_id, org_id, id desc);
create index tickets_by_org    on tickets (org_id);
create index tickets_by_status on tickets (status, id desc);
call isolate_by_org('tickets');

create table ticket_messages (
    id         uuid        primary key,
    org_id     uuid        not null references orgs,
    ticket_id  uuid        not null references tickets on delete cascade,
    source     text        not null check (source in ('customer', 'operator')),
    text       text        not null,
    created_at timestamptz not null
);

create index ticket_messages_by_ticket on ticket_messages (ticket_id, id);
create index ticket_messages_by_org    on ticket_messages (org_id);
call isolate_by_org('ticket_messages');

-- What people think of the product, or of one thing in it.
create table feedback (
    id         uuid        primary key,
    org_id     uuid        not null references orgs,
    user_id    uuid        not null references users,
    kind       text        not null check (kind in ('recommendation', 'satisfaction', 'idea')),
    score      smallint,
    about      text,
    comment    text,
    created_at timestamptz not null,
    check (case kind when 'recommendation' then score is not null and score between 0 and 10
                     when 'satisfaction' then score is not null and score between 1 and 5
                     else score is null and comment is not null end)
);

create index feedback_by_user on feedback (user_id);
create index feedback_by_org  on feedback (org_id);
create index feedback_by_kind on feedback (kind, id desc);
call isolate_by_org('feedback');

-- What operators tell everybody.
create table announcements (
    id           uuid        primary key,
    title        text        not null,
    text         text        not null,
    mailed       boolean     not null,
    published_at timestamptz not null,
    ends_at      timestamptz
);

-- What somebody is told. Numbered by person under the lock of their feed, so that numbers are committed in order and a
-- reader who has seen one has missed none before it.
create table notification_feeds (
    user_id uuid   primary key references users on delete cascade,
    last    bigint not null
);

create table notifications (
    user_id         uuid        not null references notification_feeds on delete cascade,
    number          bigint      not null,
    kind            text        not null check (kind in ('announcement', 'ticket')),
    title           text        not null,
    text            text        not null,
    announcement_id uuid        references announcements on delete cascade,
    ticket_id       uuid        references tickets on delete cascade,
    created_at      timestamptz not null,
    read_at         timestamptz,
    primary key (user_id, number),
    unique (user_id, announcement_id)
);

create index notifications_unread on notifications (user_id, number) where read_at is null;
create index notifications_by_announcement on notifications (announcement_id) where announcement_id is not null;
create index notifications_by_ticket on notifications (ticket_id) where ticket_id is not null;
create index notifications_by_age on notifications (created_at);
revoke all on announcements, notification_feeds, notifications from app_tenant;

-- How far somebody has come in getting to know the product, in each of their orgs.
create table onboarding_steps (
    org_id  uuid        not null references orgs,
    user_id uuid        not null references users,
    step    text        not null,
    status  text        not null check (status in ('done', 'skipped')),
    choice  text,
    at      timestamptz not null,
    primary key (org_id, user_id, step)
);

create index onboarding_steps_by_user on onboarding_steps (user_id);
call isolate_by_org('onboarding_steps');
