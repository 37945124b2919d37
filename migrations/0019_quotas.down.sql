drop table budget_alerts;
