drop index sessions_by_user;
create index sessions_by_user on sessions (user_id);
drop table guesses;
