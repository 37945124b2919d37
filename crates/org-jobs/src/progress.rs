use db::Db;
use web::Problem;

use crate::claim::Held;

/// How far a job is, for those who follow it.
#[derive(Clone, Debug)]
pub struct Progress {
    db: Db,
    held: Held,
    /// Of a job of many items, each of which ends anyway, only what is said is shown.
    alone: bool,
}

impl Progress {
    pub(crate) fn new(db: Db, held: Held, alone: bool) -> Self {
        Self { db, held, alone }
    }

    /// Says how far the work is, in percent, and what is being done. Fails if the job was called off, or given to
    /// another worker: then the work should end, with this problem.
    pub async fn report(&self, percent: u8, message: &str) -> Result<(), Problem> {
        let message: String = message.chars().filter(|it| *it != '\0').take(500).collect();
        let percent = self.alone.then_some(i16::from(percent.min(100)));
        let cancelled = sqlx::query_scalar!(
            r#"update jobs
               set percent = coalesce($4, percent), message = $5, revision = revision + 1
               where id = $1 and ticket = $2 and attempt = $3
               returning cancelled_at is not null as "cancelled!""#,
            self.held.job as _,
            self.held.ticket,
            self.held.attempt,
            percent,
            message,
        )
        .fetch_optional(self.db.pool())
        .await?;
        match cancelled {
            Some(false) => Ok(()),
            Some(true) => Err(cancelled_problem()),
            None => {
                Err(Problem::conflict("job_taken_over", "another worker has taken this job over"))
            }
        }
    }
}

/// What an item that was called off ends with.
pub(crate) fn cancelled_problem() -> Problem {
    Problem::conflict("job_cancelled", "the job was called off")
}
