//! The product under test: the release binary, over a Postgres of its own whose commits are durable.

use std::{
    fs::File,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use embedded_postgres::Postgres;
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::process::{Child, Command};

use crate::{
    connection::Connection,
    machine::{Cpu, parent_of},
};

/// What any server has that is not a laptop's: room for its working set, and a checkpoint every few
/// minutes instead of every few seconds. The rest are Postgres' defaults, durability first of all.
const SETTINGS: [(&str, &str); 2] = [("shared_buffers", "512MB"), ("max_wal_size", "4GB")];
const STARTS_WITHIN: Duration = Duration::from_mins(1);

/// What events are signed with.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_load";

pub(crate) struct Product {
    /// Where the API listens.
    pub(crate) authority: String,
    /// For seeding and for reading the books.
    pub(crate) database: PgPool,
    process: Child,
    postgres: Postgres,
    postmaster: u32,
    directory: PathBuf,
}

/// The state of the database between two loads.
pub(crate) struct Books {
    /// Usage records.
    pub(crate) calls: i64,
    /// Calls that were not settled.
    pub(crate) held: i64,
    /// Broken rules.
    pub(crate) violations: i64,
    /// Transactions committed so far.
    pub(crate) commits: i64,
}

impl Product {
    /// Starts `binary` in its `roles` with a fresh database below `directory`, and `upstream` as its AI
    /// provider.
    pub(crate) async fn start(
        binary: &Path,
        directory: &Path,
        upstream: &str,
        roles: &'static str,
    ) -> anyhow::Result<Self> {
        let _ = std::fs::remove_dir_all(directory);
        std::fs::create_dir_all(directory)?;
        let mut config = embedded_postgres::Config::new(directory.join("postgres"));
        config.settings = SETTINGS.into();
        ensure!(config.durable, "commits must be durable");
        let postgres = Postgres::start(config).await?;
        let database = PgPoolOptions::new().max_connections(2).connect_with(postgres.options());
        let database = database.await?;
        let backend: i32 =
            sqlx::query_scalar("select pg_backend_pid()").fetch_one(&database).await?;
        let postmaster = parent_of(backend.try_into()?)?;

        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let log = File::create(directory.join("slipway.log"))?;
        let process = Command::new(binary)
            .arg("serve")
            .current_dir(directory)
            .env_clear()
            .envs(environment(port, upstream, &postgres.url()))
            .env("ROLES", roles)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        let authority = format!("127.0.0.1:{port}");
        let directory = directory.to_owned();
        let mut product = Self { authority, database, process, postgres, postmaster, directory };
        product.wait_until_ready().await?;
        Ok(product)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let request = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
        while begun.elapsed() < STARTS_WITHIN {
            if let Some(status) = self.process.try_wait()? {
                bail!("slipway ended with {status}; see {}/slipway.log", self.directory.display());
            }
            if let Ok(mut connection) = Connection::open(&self.authority).await {
                return connection.exchange(request).await.map(|_| ());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("slipway did not start; see {}/slipway.log", self.directory.display())
    }

    /// What the product's and Postgres' processor time is read from, in this order.
    pub(crate) fn cpus(&self) -> anyhow::Result<[Cpu; 2]> {
        let process = self.process.id().context("slipway has ended")?;
        Ok([
            Cpu { process, with_children: false },
            Cpu { process: self.postmaster, with_children: true },
        ])
    }

    /// What the books say once the calls of a load are settled.
    pub(crate) async fn books(&self) -> anyhow::Result<Books> {
        // The backends report what they did once a second, and when they idle.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let query = "select (select count(*) from usage_records), (select count(*) from holds),
                            (select count(*) from ledger_violations),
                            (select xact_commit from pg_stat_database
                             where datname = current_database())";
        let (calls, held, violations, commits) =
            sqlx::query_as(query).fetch_one(&self.database).await?;
        Ok(Books { calls, held, violations, commits })
    }

    /// How many of Stripe's events are in the inbox whose ids begin with `evt_` and the round.
    pub(crate) async fn events(&self, round: usize) -> anyhow::Result<i64> {
        let query = "select count(*) from stripe_events where starts_with(id, $1)";
        let count = sqlx::query_scalar(query).bind(format!("evt_{round}_"));
        Ok(count.fetch_one(&self.database).await?)
    }

    pub(crate) async fn postgres_version(&self) -> anyhow::Result<String> {
        let query = "select current_setting('server_version') || ', fsync '
                         || current_setting('fsync') || ', synchronous_commit '
                         || current_setting('synchronous_commit')";
        Ok(sqlx::query_scalar(query).fetch_one(&self.database).await?)
    }

    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.process.kill().await?;
        self.database.close().await;
        Ok(self.postgres.stop().await?)
    }
}

/// The defaults of the product, save for what has none, for budgets that suffice for the run, and for
/// the limits on traffic, which count it but would refuse such a load from one org.
fn environment(port: u16, upstream: &str, database: &str) -> Vec<(&'static str, String)> {
    let nowhere = "127.0.0.1:9";
    vec![
        ("APP_ENV", "staging".into()),
        ("APP_URL", format!("http://127.0.0.1:{port}")),
        ("HOST", "127.0.0.1".into()),
        ("PORT", port.to_string()),
        ("DATABASE_URL", database.into()),
        ("AUTH_SECRET", "only for load tests, in which nothing is secret".into()),
        ("OPENAI_API_KEY", "load-test".into()),
        ("OPENAI_BASE_URL", format!("http://{upstream}/v1")),
        ("STRIPE_SECRET_KEY", "sk_test_load".into()),
        ("STRIPE_WEBHOOK_SECRET", WEBHOOK_SECRET.into()),
        ("STRIPE_BASE_URL", format!("http://{nowhere}")),
        ("SMTP_URL", format!("smtp://{nowhere}")),
        ("RATE_LIMITS", "observe".into()),
        // Each key is sent from an address of its own: so many new ones from one would be guesses.
        ("TRUSTED_PROXIES", "1".into()),
        ("AI_BUDGET_PER_DAY_USD", "1000000".into()),
        ("AI_BUDGET_PER_MONTH_USD", "1000000".into()),
        ("METRICS_ADDR", "127.0.0.1:0".into()),
    ]
}
