-- Until when an attempt to send the mail may be under way, by the database's clock: two jobs of one mail do not send it twice.
alter table emails add column claimed_until timestamptz;
