use std::{convert::Infallible, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::time::{error::Elapsed, sleep, timeout};
use uuid::Uuid;

use crate::Changes;

const CHANNEL: &str = "changes";
/// How long silence is believed, and how long a sign of life may take after it: a connection that is
/// lost without a word must show before a second is over.
const BEAT: Duration = Duration::from_millis(400);
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(500);

/// Why changes are no longer heard of.
#[derive(Debug, thiserror::Error)]
enum Deaf {
    #[error("the connection was lost")]
    Lost,
    #[error(
        "a notification of our own did not arrive; is there a transaction pooler and no DATABASE_DIRECT_URL?"
    )]
    Silent(#[from] Elapsed),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Keeps `changes` up to date for as long as it runs. Without it they are current for a second.
///
/// `pool` must reach Postgres without a transaction pooler between, and have two connections.
pub async fn listen(changes: Changes, pool: PgPool) -> Infallible {
    loop {
        let Err(deaf) = hear(&changes, &pool).await;
        if changes.are_heard() {
            tracing::warn!(error = %deaf, "changes are not heard of; what is remembered lives for a second");
        }
        changes.end();
        sleep(BETWEEN_ATTEMPTS).await;
    }
}

/// Takes in what is announced, until something is wrong.
async fn hear(changes: &Changes, pool: &PgPool) -> Result<Infallible, Deaf> {
    let mut listener = timeout(BEAT * 5, PgListener::connect_with(pool)).await??;
    listener.eager_reconnect(false);
    timeout(BEAT, listener.listen(CHANNEL)).await??;
    // Only what arrives proves that anything does.
    let sign_of_life = Uuid::now_v7();
    loop {
        let notification = if let Ok(received) = timeout(BEAT, listener.try_recv()).await {
            received?
        } else {
            timeout(BEAT, announce(pool, sign_of_life)).await??;
            timeout(BEAT, listener.try_recv()).await??
        };
        let subject = notification.ok_or(Deaf::Lost)?;
        if let Ok(subject) = subject.payload().parse::<Uuid>() {
            changes.note(subject);
        }
        if !changes.are_heard() {
            tracing::info!("changes are heard of");
            changes.begin();
        }
    }
}

/// Tells every instance that `subject` has changed.
async fn announce(pool: &PgPool, subject: Uuid) -> sqlx::Result<()> {
    sqlx::query("select pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(subject.to_string())
        .execute(pool)
        .await?;
    Ok(())
}
