drop table ip_blocks;
drop function announce_ip_blocks;
