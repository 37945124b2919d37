-- What the product blocks by itself and what operators block stand beside each other: neither changes
-- how long the other holds.

alter table ip_blocks drop constraint ip_blocks_network_key;
create unique index ip_blocks_network_maker on ip_blocks (network, (created_by is null));
