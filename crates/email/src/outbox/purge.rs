use chrono::{DateTime, Days, TimeDelta, Utc};
use jobs::Job;
use serde::{Deserialize, Serialize};

use crate::Mailer;

/// For how long a mail that was given up can be tried again by hand.
const BODIES: TimeDelta = TimeDelta::days(7);
/// A mail that waits for longer has lost its job.
const LOST: TimeDelta = TimeDelta::days(7);
/// For how long days are counted that are over.
const COUNTERS: Days = Days::new(30);
/// Rows that are deleted in one go.
const BATCH: i64 = 1000;

/// Erases the bodies of mails that were given up a while ago, and what is too old of the log, nightly. Addresses
/// that get no mail stay.
#[derive(Serialize, Deserialize)]
pub(crate) struct Purge {}

impl Job for Purge {
    const NAME: &'static str = "email.purge";
    type Context = Mailer;

    async fn run(self, mailer: Mailer) -> anyhow::Result<()> {
        let (db, now) = (mailer.db.pool(), mailer.clock.now());
        sqlx::query!(
            "update emails set html = null, text = null
             where status = 'dead' and created_at < $1 and (html is not null or text is not null)",
            now - BODIES,
        )
        .execute(db)
        .await?;
        // Nobody's data are erased while a mail that was there before waits.
        sqlx::query!(
            "update emails
             set status = 'dead', error = 'it was never sent', html = null, text = null, claimed_until = null
             where status = 'queued' and created_at < $1",
            now - LOST,
        )
        .execute(db)
        .await?;
        mailer.drop_old(now - mailer.retention).await?;
        let day = now.date_naive() - COUNTERS;
        sqlx::query!("delete from email_person_days where day < $1", day).execute(db).await?;
        sqlx::query!("delete from email_days where day < $1", day).execute(db).await?;
        Ok(())
    }
}

impl Mailer {
    /// Deletes mails from before `kept_from`, whatever became of them, and what was told of them.
    async fn drop_old(&self, kept_from: DateTime<Utc>) -> sqlx::Result<()> {
        let db = self.db.pool();
        loop {
            let dropped = sqlx::query!(
                "delete from emails
                 where (id, created_at) in (select id, created_at from emails where created_at < $1
                                            order by created_at limit $2)",
                kept_from,
                BATCH,
            );
            if dropped.execute(db).await?.rows_affected() < BATCH.unsigned_abs() {
                break;
            }
        }
        sqlx::query!("delete from email_events where received_at < $1", kept_from)
            .execute(db)
            .await?;
        Ok(())
    }
}
