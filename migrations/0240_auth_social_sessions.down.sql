alter table social_logins drop column session_id;
