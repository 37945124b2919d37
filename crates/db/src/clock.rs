use std::{convert::Infallible, time::Duration};

use chrono::{DateTime, Utc};
use kernel::Clock;
use sqlx::{PgPool, query_scalar};
use tokio::time::sleep;

/// How long a stop-watch is believed before the database is asked again.
const ASKED_EVERY: Duration = Duration::from_secs(30);

/// The database's time, by which all processes go. Machines' clocks jump, and differ from each other: what one that is
/// a day ahead writes down as due would wait for a day at all others.
pub async fn clock(pool: &PgPool) -> sqlx::Result<Clock> {
    Ok(Clock::set_to(ask(pool).await?))
}

/// Keeps a [`clock`] with the database's for as long as it runs. While the database does not answer it runs on.
pub async fn keep_time(clock: Clock, pool: PgPool) -> Infallible {
    loop {
        sleep(ASKED_EVERY).await;
        match ask(&pool).await {
            Ok(now) => clock.set(now),
            Err(error) => tracing::warn!(%error, "the database does not say what time it is"),
        }
    }
}

/// Behind by the way of the answer.
async fn ask(pool: &PgPool) -> sqlx::Result<DateTime<Utc>> {
    query_scalar("select clock_timestamp()").fetch_one(pool).await
}
