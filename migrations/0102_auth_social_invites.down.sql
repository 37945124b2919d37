alter table social_logins drop column invite_code_hash;
