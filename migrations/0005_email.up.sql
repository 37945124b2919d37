-- Every mail that was ever to be sent. The bodies carry sign-in links, so they are erased once sent.

create table emails (
    id          uuid        not null,
    user_id     uuid        references users,
    recipient   text        not null,
    template    text        not null,
    subject     text        not null,
    html        text,
    text        text,
    status      text        not null check (status in ('queued', 'sent', 'dead')),
    attempts    integer     not null default 0,
    error       text,
    created_at  timestamptz not null,
    sent_at     timestamptz,
    primary key (id, created_at)
) partition by range (created_at);

create table emails_default partition of emails default;
create index emails_by_recipient on emails (recipient, created_at desc);
