drop index api_keys_by_user;
alter table emails drop column lets_in, drop column admitted;
