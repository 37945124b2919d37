drop table social_logins, identities;
