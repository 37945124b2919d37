use std::{convert::Infallible, time::Duration};

use chrono::{DurationRound, TimeDelta};
use telemetry::http::take_answers;

use crate::Alerts;

/// How often what was answered is written down.
const PAUSE: Duration = Duration::from_secs(10);

impl Alerts {
    /// Writes down how this process answers, for as long as it does.
    pub async fn keep_noting_answers(self) -> Infallible {
        // What could not be written is kept: it is the outage that somebody should hear of.
        let (mut answers, mut errors) = (0, 0);
        loop {
            tokio::time::sleep(PAUSE).await;
            let new = take_answers();
            (answers, errors) = (answers + new.0, errors + new.1);
            if answers == 0 {
                continue;
            }
            match self.note_answers(answers, errors).await {
                Ok(()) => (answers, errors) = (0, 0),
                Err(error) => {
                    tracing::warn!(%error, "how requests were answered is not written down yet");
                }
            }
        }
    }

    async fn note_answers(&self, answers: u64, errors: u64) -> anyhow::Result<()> {
        let minute = self.clock.now().duration_trunc(TimeDelta::minutes(1))?;
        sqlx::query!(
            "insert into alert_answers (minute, answers, errors) values ($1, $2, $3)
             on conflict (minute) do update
             set answers = alert_answers.answers + excluded.answers,
                 errors = alert_answers.errors + excluded.errors",
            minute,
            i64::try_from(answers)?,
            i64::try_from(errors)?,
        )
        .execute(self.db.pool())
        .await?;
        Ok(())
    }
}
