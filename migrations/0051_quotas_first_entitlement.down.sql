drop table first_entitlement;
