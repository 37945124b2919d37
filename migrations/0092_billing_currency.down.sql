alter table stripe_prices drop column currency;
