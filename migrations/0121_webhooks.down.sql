alter table webhook_deliveries drop column lane;
