use std::time::{Duration, Instant};

use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use tokio::process::Child;

use crate::{
    Config, Result, database,
    dirs::Dirs,
    pid_file::Postmaster,
    poll::poll,
    server::{self, STOP_LIMIT},
    watchdog::{self, User},
};

/// A server in use. It ends some time after its last user dropped this, stopped it, or died.
#[derive(Debug)]
pub struct Postgres {
    dirs: Dirs,
    user: User,
    grace: Duration,
    /// The server and its watchdog, if this process started them.
    children: Vec<Child>,
}

impl Postgres {
    /// Starts the server, or joins the users of the one that runs.
    pub async fn start(config: Config) -> Result<Self> {
        let begun = Instant::now();
        let dirs = Dirs::create(&config.root)?;
        let _starting = dirs.lock().await?;
        // The watchdog comes first, so that a server whose user dies while starting it is not
        // forgotten.
        let (user, watchdog) = watchdog::join(&dirs, config.grace).await?;
        let running = server::is_running(&dirs).await?;
        let server = if running { None } else { Some(server::start(&config, &dirs).await?) };
        database::create(&dirs).await?;
        tracing::info!(
            root = %dirs.root.display(), joined = running, elapsed = ?begun.elapsed(),
            "PostgreSQL is ready"
        );
        let children = watchdog.into_iter().chain(server).collect();
        Ok(Self { dirs, user, grace: config.grace, children })
    }

    /// Connects to the application's database, as a role with the rights of production.
    pub fn options(&self) -> PgConnectOptions {
        database::application(&self.dirs)
    }

    /// The same as [`options`](Self::options), for other programs such as `psql`.
    pub fn url(&self) -> String {
        let mut url = self.options().to_url_lossy();
        // The rest are settings of this client only.
        url.set_query(None);
        url.into()
    }

    /// Connects to the database `postgres` as the superuser, who may create databases.
    pub fn admin_options(&self) -> PgConnectOptions {
        database::administrator(&self.dirs)
    }

    /// Stops using the server. Returns when it is gone, or at once if others use it.
    pub async fn stop(mut self) -> Result<()> {
        drop(self.user);
        let what = format!("the server of {} to stop", self.dirs.root.display());
        poll(&what, self.grace + STOP_LIMIT, || {
            if watchdog::has_users(&self.dirs)? {
                return Ok(Some(()));
            }
            let gone = Postmaster::find(&self.dirs).is_none();
            let ended = self.children.iter_mut().all(|child| !matches!(child.try_wait(), Ok(None)));
            Ok((gone && ended).then_some(()))
        })
        .await
    }
}
