use std::{any::Any, time::Duration};

use futures::stream;
use graphile_worker::{
    BoxFuture, DatabaseDriver, DbError, DbExecutor, DbParams, DbRow, DbTransaction, Notification,
    NotificationStream, sqlx::SqlxDatabase,
};
use sqlx::{PgPool, postgres::PgListener};
use tokio::time::{Instant, timeout_at};

/// How long after a notification it is passed on once more. The library forgets one that comes while it looks at
/// the queue, and would not look again before the poll interval has passed.
const ECHO: Duration = Duration::from_millis(20);
/// Between attempts to listen again. Until then the queue is looked at every poll interval.
const PAUSE: Duration = Duration::from_secs(1);

/// The library's way to the database. Its own listener gives up for good when its connection is lost.
#[derive(Debug)]
pub(crate) struct Source {
    queries: SqlxDatabase,
    listening: PgPool,
}

impl Source {
    pub(crate) fn new(queries: PgPool, listening: PgPool) -> Self {
        Self { queries: queries.into(), listening }
    }
}

impl DbExecutor for Source {
    fn execute<'a>(
        &'a self,
        sql: &'a str,
        params: DbParams,
    ) -> BoxFuture<'a, Result<u64, DbError>> {
        self.queries.execute(sql, params)
    }

    fn fetch_all<'a>(
        &'a self,
        sql: &'a str,
        params: DbParams,
    ) -> BoxFuture<'a, Result<Vec<DbRow>, DbError>> {
        self.queries.fetch_all(sql, params)
    }
}

impl DatabaseDriver for Source {
    fn as_any(&self) -> &dyn Any {
        &self.queries
    }

    fn begin(&self) -> BoxFuture<'_, Result<DbTransaction, DbError>> {
        self.queries.begin()
    }

    fn listen<'a>(
        &'a self,
        channel: &'a str,
    ) -> BoxFuture<'a, Result<Option<NotificationStream>, DbError>> {
        let ear = Ear {
            db: self.listening.clone(),
            channel: channel.to_owned(),
            listener: None,
            echo: None,
        };
        let heard = stream::unfold(ear, |mut ear| async {
            let notification = ear.next().await;
            Some((Ok(notification), ear))
        });
        Box::pin(async { Ok(Some(Box::pin(heard) as NotificationStream)) })
    }
}

/// Hears of new jobs for as long as there is a database.
struct Ear {
    db: PgPool,
    channel: String,
    listener: Option<PgListener>,
    /// When the last notification is passed on once more.
    echo: Option<Instant>,
}

impl Ear {
    /// The next notification. Whenever listening begins there is one, for all that was missed.
    async fn next(&mut self) -> Notification {
        if let Some(listener) = &mut self.listener {
            match hear(listener, self.echo).await {
                Heard::New => {
                    self.echo = Some(Instant::now() + ECHO);
                    return self.notification();
                }
                Heard::Echo => {
                    self.echo = None;
                    return self.notification();
                }
                Heard::Nothing => self.listener = None,
            }
        }
        loop {
            match self.listen().await {
                Ok(listener) => {
                    self.listener = Some(listener);
                    self.echo = Some(Instant::now() + ECHO);
                    return self.notification();
                }
                Err(error) => {
                    tracing::warn!(%error, "new jobs are not heard of; they wait for the next look");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// That there is something new; its text does not matter.
    fn notification(&self) -> Notification {
        Notification { channel: self.channel.clone(), payload: String::new() }
    }

    async fn listen(&self) -> sqlx::Result<PgListener> {
        let mut listener = PgListener::connect_with(&self.db).await?;
        listener.eager_reconnect(false);
        listener.listen(&self.channel).await?;
        Ok(listener)
    }
}

enum Heard {
    New,
    Echo,
    /// The connection is lost.
    Nothing,
}

async fn hear(listener: &mut PgListener, echo: Option<Instant>) -> Heard {
    let heard = match echo {
        Some(at) => match timeout_at(at, listener.try_recv()).await {
            Ok(heard) => heard,
            Err(_) => return Heard::Echo,
        },
        None => listener.try_recv().await,
    };
    if let Ok(Some(_)) = heard { Heard::New } else { Heard::Nothing }
}
