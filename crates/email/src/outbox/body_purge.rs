use chrono::{Days, TimeDelta};
use jobs::Job;
use serde::{Deserialize, Serialize};

use crate::Mailer;

/// For how long a mail that was given up can be tried again by hand.
const BODIES: TimeDelta = TimeDelta::days(7);
/// For how long the provider's messages are kept.
const EVENTS: TimeDelta = TimeDelta::days(90);
/// For how long days are counted that are over.
const COUNTERS: Days = Days::new(30);

/// Erases the bodies of mails that were given up a while ago, old messages and old counters, nightly.
#[derive(Serialize, Deserialize)]
pub(crate) struct PurgeBodies {}

impl Job for PurgeBodies {
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
        sqlx::query!("delete from email_events where received_at < $1", now - EVENTS)
            .execute(db)
            .await?;
        let day = now.date_naive() - COUNTERS;
        sqlx::query!("delete from email_person_days where day < $1", day).execute(db).await?;
        sqlx::query!("delete from email_days where day < $1", day).execute(db).await?;
        Ok(())
    }
}
