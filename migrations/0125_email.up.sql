-- What becomes of a mail after it was handed over, whom no mail may reach, and what people want.

alter table emails drop constraint emails_status_check;
alter table emails
    add constraint emails_status_check check (status in
        ('queued', 'sent', 'delivered', 'bounced', 'complained', 'suppressed', 'dead')),
    add column category text not null default 'account' check (category in
        ('security', 'account', 'usage', 'renders', 'digest', 'nudges')),
    add column provider text,
    add column provider_id text;

create index emails_by_provider_id on emails (provider_id) where provider_id is not null;
create index emails_undelivered on emails (status, created_at desc) where status <> 'delivered';

-- What the provider told about a mail, each message once.
create table email_events (
    id          text        primary key,
    email_id    uuid        not null,
    kind        text        not null,
    detail      text,
    occurred_at timestamptz not null,
    received_at timestamptz not null
);

create index email_events_by_email on email_events (email_id, occurred_at);
create index email_events_by_time on email_events (received_at);

-- Addresses that get no mail, or none of a category.
create table email_suppressions (
    id         uuid        primary key,
    address    text        not null,
    reason     text        not null check (reason in ('hard_bounce', 'complaint', 'unsubscribed', 'manual')),
    category   text        check (category in ('security', 'account', 'usage', 'renders', 'digest', 'nudges')),
    email_id   uuid,
    note       text,
    created_at timestamptz not null,
    check ((reason = 'unsubscribed') = (category is not null))
);

create unique index email_suppressions_once
    on email_suppressions (address, reason, coalesce(category, ''));

-- What a person wants to read, and in which language. No row: everything, in English.
create table email_preferences (
    user_id    uuid        primary key references users on delete cascade,
    locale     text        not null default 'en' check (locale in ('en', 'de')),
    turned_off text[]      not null default '{}'
                           check (turned_off <@ array['usage', 'renders', 'digest', 'nudges']),
    updated_at timestamptz not null
);

-- How many mails were sent on a day: all of them, and to each person of those they can do without.
create table email_days (
    day  date    primary key,
    sent integer not null
);

create table email_person_days (
    day     date    not null,
    user_id uuid    not null references users on delete cascade,
    sent    integer not null,
    primary key (day, user_id)
);
