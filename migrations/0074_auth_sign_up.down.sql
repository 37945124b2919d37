alter table registrations drop column invite_code;
drop table waitlist_entries, invite_codes;
