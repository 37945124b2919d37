//! The pool, the migrations, tenant transactions, what changed elsewhere, and naming what a write ran into.

mod changes;
mod clock;
mod config;
mod error;
mod listener;
mod migrations;
mod partitions;
mod preamble;
mod remembered;
mod roles;

use kernel::{Id, Org};
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction, postgres::PgConnectOptions};

pub use changes::{Changes, Mark, Subject};
pub use clock::{clock, keep_time};
pub use config::Config;
pub use error::{is_conflict, is_outage, violated_constraint};
pub use listener::listen;
pub use migrations::{MIGRATOR, MigrationStatus, migrate_down, migrate_up, migration_status};
pub use partitions::create_partitions;
pub use preamble::with_preamble;
pub use remembered::Remembered;
pub use roles::{RoleError, create_tenant_role};

/// A transaction; dropped without [`Transaction::commit`], it leaves no trace.
pub type Tx = Transaction<'static, Postgres>;

/// Access to Postgres, in one of two roles.
///
/// * [`Db::tenant`] is for everything that serves one org: row-level security applies, so a
///   forgotten `where org_id = …` returns nothing instead of somebody else's rows.
/// * [`Db::begin`] and [`Db::pool`] are the owner: for paths that span orgs (signing in, reserving
///   from the global budget, jobs). Name them as such and keep them few.
#[derive(Clone, Debug)]
pub struct Db {
    pool: PgPool,
    changes: Changes,
}

impl Db {
    /// Access through `pool`.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, changes: Changes::default() }
    }

    /// The owner's connections.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A pool of one connection, for who writes one statement after the other: it is always the same server
    /// process, whose caches are warm. The pool proper hands out its connections in turn.
    pub fn one_connection(&self) -> PgPool {
        let options = self.pool.options().clone();
        if options.get_max_connections() == 1 {
            return self.pool.clone();
        }
        let options = options.max_connections(1);
        options.connect_lazy_with(PgConnectOptions::clone(&self.pool.connect_options()))
    }

    /// What caches ask whether they are out of date. [`listen`] keeps it up to date.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Begins a transaction as the owner.
    pub async fn begin(&self) -> sqlx::Result<Tx> {
        self.begin_with(format!("begin; {}", preamble::preamble())).await
    }

    /// Begins a transaction that sees and writes the rows of `org` only, in one round trip.
    pub async fn tenant(&self, org: Id<Org>) -> sqlx::Result<Tx> {
        self.begin_with(format!(
            "begin; set local role app_tenant; select set_config('app.org_id', '{org}', true); {}",
            preamble::preamble(),
        ))
        .await
    }

    /// A task of its own, because a caller may give up at any moment: the library learns that a
    /// transaction is open from the answer only, and would else give the next caller a connection
    /// that is still in this one, with the rights of its org and never committed.
    async fn begin_with(&self, statement: String) -> sqlx::Result<Tx> {
        let pool = self.pool.clone();
        let begun = tokio::spawn(async move { pool.begin_with(AssertSqlSafe(statement)).await });
        begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }
}
