delete from ip_blocks a using ip_blocks b
where a.network = b.network and a.created_by is null and b.created_by is not null;
drop index ip_blocks_network_maker;
alter table ip_blocks add constraint ip_blocks_network_key unique (network);
