alter table stripe_prices
    add column currency text not null default 'usd' check (currency ~ '^[a-z]{3}$');
