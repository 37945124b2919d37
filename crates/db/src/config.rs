use std::{str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    ConnectOptions, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tracing::log::LevelFilter;

/// Where Postgres is and how much of it this process may use.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Where Postgres (15 or newer) listens, credentials included. Unset, a Postgres is started in `.data/postgres`.
    #[arg(long, env, hide_env_values = true)]
    pub database_url: Option<SecretString>,

    /// A direct connection for migrations and LISTEN, where `DATABASE_URL` is a transaction pooler.
    #[arg(long, env, hide_env_values = true)]
    pub database_direct_url: Option<SecretString>,

    /// Connections each process may hold.
    #[arg(long, env, default_value_t = 20, value_parser = clap::value_parser!(u32).range(2..))]
    pub database_pool_size: u32,

    /// Milliseconds a request waits for a free connection before it is answered 503.
    #[arg(long, env, default_value_t = 3000)]
    pub database_acquire_timeout_ms: u64,

    /// Milliseconds after which Postgres cancels a statement.
    #[arg(long, env, default_value_t = 10_000)]
    pub database_statement_timeout_ms: u64,

    /// Milliseconds a statement waits for another transaction's row lock.
    #[arg(long, env, default_value_t = 5000)]
    pub database_lock_timeout_ms: u64,

    /// Milliseconds from which a statement is logged as slow.
    #[arg(long, env, default_value_t = 500)]
    pub database_slow_query_ms: u64,
}

impl Config {
    /// What is wrong with the addresses, to be shown together with every other setting's errors.
    pub fn problems(&self) -> Vec<String> {
        [("DATABASE_URL", &self.database_url), ("DATABASE_DIRECT_URL", &self.database_direct_url)]
            .into_iter()
            .filter_map(|(name, url)| {
                let url = url.as_ref()?.expose_secret();
                let known = ["postgres://", "postgresql://"].iter().any(|it| url.starts_with(it));
                let valid = known && PgConnectOptions::from_str(url).is_ok();
                (!valid).then(|| format!("{name} is not a valid postgres:// URL"))
            })
            .collect()
    }

    /// The settings' own address, if there is one.
    pub fn address(&self) -> Option<PgConnectOptions> {
        PgConnectOptions::from_str(self.database_url.as_ref()?.expose_secret()).ok()
    }

    /// The address that bypasses a transaction pooler, if one is set.
    pub fn direct_address(&self) -> Option<PgConnectOptions> {
        PgConnectOptions::from_str(self.database_direct_url.as_ref()?.expose_secret()).ok()
    }

    /// A pool for migrations: past any transaction pooler, and without the time limits of requests,
    /// since building an index takes as long as it takes.
    pub fn migration_pool(&self, address: PgConnectOptions) -> PgPool {
        let address = self.direct_address().unwrap_or(address).application_name("slipway migrate");
        PgPoolOptions::new().max_connections(2).connect_lazy_with(address)
    }

    /// A pool for hearing of changes: past any transaction pooler, which forgets who listens.
    pub fn listening_pool(&self, address: PgConnectOptions) -> PgPool {
        let address = self.direct_address().unwrap_or(address).application_name("slipway listen");
        // One listens, the other sends the signs of life.
        PgPoolOptions::new().max_connections(2).connect_lazy_with(address)
    }

    /// A pool to `address`; connections are made when first needed.
    pub fn pool(&self, address: PgConnectOptions) -> PgPool {
        let address = address
            .application_name("slipway")
            .options([
                ("statement_timeout", self.database_statement_timeout_ms),
                ("lock_timeout", self.database_lock_timeout_ms),
                ("idle_in_transaction_session_timeout", 30_000),
            ])
            // Compiling a plan takes longer than any query here should.
            .options([("jit", "off")])
            .log_statements(LevelFilter::Trace)
            .log_slow_statements(
                LevelFilter::Warn,
                Duration::from_millis(self.database_slow_query_ms),
            );
        PgPoolOptions::new()
            .max_connections(self.database_pool_size)
            .acquire_timeout(Duration::from_millis(self.database_acquire_timeout_ms))
            // A ping before every use would double the round trips; a dead connection is answered
            // once with 503 and replaced.
            .test_before_acquire(false)
            .connect_lazy_with(address)
    }
}
