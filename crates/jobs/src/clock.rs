use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Local, Utc};
use graphile_worker_crontab_runner::Clock;
use sqlx::PgPool;

/// How long a stop-watch is believed before the database is asked again.
const ASKED_EVERY: Duration = Duration::from_secs(30);
/// Pause before a database that does not answer is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// The database's time, by which the whole queue goes. Machines' clocks jump, and differ from each other: one that was
/// a day ahead would use up the schedule of that day.
#[derive(Clone, Debug)]
pub(crate) struct DatabaseClock {
    db: PgPool,
    answer: Arc<Mutex<Answer>>,
}

/// What the database said, and when by a clock that only goes on.
#[derive(Clone, Copy, Debug)]
struct Answer {
    time: DateTime<Utc>,
    at: Instant,
}

impl DatabaseClock {
    /// Waits until the database has said what time it is.
    pub(crate) async fn start(db: PgPool) -> Self {
        loop {
            match ask(&db).await {
                Ok(answer) => return Self { db, answer: Arc::new(Mutex::new(answer)) },
                Err(error) => {
                    tracing::warn!(%error, "the database does not say what time it is");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> DateTime<Local> {
        let answer = *self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        (answer.time + answer.at.elapsed()).with_timezone(&Local)
    }

    async fn sleep_until(&self, time: DateTime<Local>) {
        while let Ok(left) = (time - self.now()).to_std()
            && !left.is_zero()
        {
            tokio::time::sleep(left.min(ASKED_EVERY)).await;
            match ask(&self.db).await {
                Ok(answer) => {
                    *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
                }
                Err(error) => tracing::warn!(%error, "the database does not say what time it is"),
            }
        }
    }
}

async fn ask(db: &PgPool) -> sqlx::Result<Answer> {
    let time = sqlx::query_scalar("select clock_timestamp()").fetch_one(db).await?;
    // Behind by the way of an answer: ahead it would begin a slot too soon.
    Ok(Answer { time, at: Instant::now() })
}
