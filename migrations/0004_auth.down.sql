drop table operators;
drop table api_keys;
drop table email_tokens;
drop table refresh_tokens;
drop table sessions;
drop table memberships;
