-- Credits that may be used beyond those an org has, and are billed afterwards: a grant like any other, spent last.
alter table grants
    drop constraint grants_source_check,
    add constraint grants_source_check check (source in ('plan', 'pack', 'promo', 'admin', 'overage'));

create index grants_of_overage on grants (expires_at) where source = 'overage';
