-- Whether a mail has taken its place among those of its day: it takes no other, however often it is tried.
-- Whether what it says lets somebody in, or decides for them: that is not kept for another try.
alter table emails
    add column admitted boolean not null default false,
    add column lets_in  boolean not null default false;
update emails set admitted = attempts > 0, lets_in = category = 'security' or template in ('invitation', 'client_approval');

-- The last use of any key of a person.
create index api_keys_by_user on api_keys (user_id);
