-- In which session somebody wants to link an account elsewhere: it must not have ended when they come
-- back. Null where somebody signs in.
alter table social_logins add column session_id uuid;
