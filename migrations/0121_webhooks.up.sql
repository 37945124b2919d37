-- The lane in which a delivery is under way, until its attempt is settled or `due_at` has come.
alter table webhook_deliveries add column lane uuid;
