drop table credit_alerts;
