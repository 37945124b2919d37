drop index grants_of_overage;
alter table grants
    drop constraint grants_source_check,
    add constraint grants_source_check check (source in ('plan', 'pack', 'promo', 'admin'));
