drop table webhook_attempts, webhook_deliveries, webhook_events, webhook_endpoints;
drop function queue_webhook_event;
drop function wake_webhook_endpoint;
