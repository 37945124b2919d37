drop table stripe_prices;
drop table catalogues;
drop function announce_catalogue();
drop function refuse_catalogue_change();
