alter table emails drop column claimed_until;
