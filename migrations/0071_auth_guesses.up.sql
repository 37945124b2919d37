-- Attempts at the password of one account since it was last right: each one after the first few makes
-- the next wait longer. Who signed in from a network before is counted apart from strangers there.
create table guesses (
    -- Names account, password and network without showing them.
    key           text        primary key,
    count         integer     not null,
    last_at       timestamptz not null,
    blocked_until timestamptz
);

create index guesses_by_age on guesses (last_at);

-- The newest sessions of somebody tell which networks are theirs.
drop index sessions_by_user;
create index sessions_by_user on sessions (user_id, id);
