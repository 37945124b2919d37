drop trigger await_seal on audit_events;
drop function await_seal;
drop table audit_unsealed, audit_seals, audit_chains;
