use anyhow::{Context, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use jobs::Job;
use kernel::Id;
use serde::{Deserialize, Serialize};
use sqlx::Connection;

use super::Deletion;
use crate::{Privacy, subject::Subject};

/// By then requests that were let in before are over.
const REQUESTS_END: TimeDelta = TimeDelta::minutes(5);
/// How long mails and jobs that are under way may take before they are erased, too.
const WORK_ENDS: TimeDelta = TimeDelta::hours(1);

/// Carries out the deletions that are due, each minute: what waits for something is looked at again, and what was
/// interrupted goes on where it stopped.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CarryOutDeletions {}

impl Job for CarryOutDeletions {
    const NAME: &'static str = "privacy.carry_out_deletions";
    const SLOW: bool = true;
    type Context = Privacy;

    async fn run(self, privacy: Privacy) -> anyhow::Result<()> {
        let mut failed = 0;
        for id in Deletion::due(privacy.db.pool(), privacy.clock.now()).await? {
            if let Err(error) = privacy.carry_out(id).await {
                tracing::error!(deletion = %id, error = format!("{error:#}"), "a deletion failed");
                failed += 1;
            }
        }
        ensure!(failed == 0, "{failed} deletions failed and are tried again");
        Ok(())
    }
}

impl Privacy {
    /// One at a time, whatever the queue does: others would wait for locks. A connection of its own: the lock ends with it.
    async fn carry_out(&self, id: Id<Deletion>) -> anyhow::Result<()> {
        let mut db = self.db.pool().acquire().await?.detach();
        let key = i64::from_be_bytes(id.uuid().as_bytes()[8..].try_into()?);
        let locked = sqlx::query_scalar!(r#"select pg_try_advisory_lock($1) as "locked!""#, key)
            .fetch_one(&mut db)
            .await?;
        let result = if locked { self.carry_out_alone(id).await } else { Ok(()) };
        db.close().await?;
        result
    }

    async fn carry_out_alone(&self, id: Id<Deletion>) -> anyhow::Result<()> {
        let Some(deletion) = self.shut_out(id).await? else { return Ok(()) };
        let subject = deletion.subject().context("it is about nobody")?;
        let since = deletion.started_at.context("it has not begun")?;
        if self.clock.now() < since + REQUESTS_END
            || self.something_is_under_way(&deletion, subject, since).await?
        {
            return Ok(());
        }
        self.erase(&deletion, subject).await?;
        self.certify(&deletion).await
    }

    /// Calls in flight are written down once they are over, Stripe takes its time, and so do copies that are being
    /// made, jobs and mails from before, whoever gets them: they may name whom this is about.
    async fn something_is_under_way(
        &self,
        deletion: &Deletion,
        subject: Subject,
        since: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        let (db, patient) = (self.db.pool(), self.clock.now() < since + WORK_ENDS);
        match subject {
            Subject::Org(org) => {
                sqlx::query_scalar!(
                    r#"select exists (select from holds where org_id = $1)
                           or exists (select from billing_closures where org_id = $1 and done_at is null)
                           or exists (select from data_exports where org_id = $1 and status = 'queued')
                           or exists (select from emails where status = 'queued' and created_at < $3)
                           or $2 and exists (select from jobs
                                             where org_id = $1 and status in ('queued', 'running')) as "waits!""#,
                    org as _,
                    patient,
                    since,
                )
                .fetch_one(db)
                .await
            }
            Subject::Person(user) => {
                sqlx::query_scalar!(
                    r#"select exists (select from holds where user_id = $1)
                           or exists (select from deletions where part_of = $2 and done_at is null)
                           or exists (select from data_exports where user_id = $1 and status = 'queued')
                           or exists (select from emails
                                             where status = 'queued' and (user_id = $1 or created_at < $4))
                           or $3 and exists (select from jobs
                                             where user_id = $1 and status in ('queued', 'running')) as "waits!""#,
                    user as _,
                    deletion.id as _,
                    patient,
                    since,
                )
                .fetch_one(db)
                .await
            }
        }
    }
}
