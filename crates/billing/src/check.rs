use app::Check;
use chrono::{DateTime, TimeDelta, Utc};

use crate::{Billing, Error};

/// How long an event may wait before that is a failure.
const PATIENCE: TimeDelta = TimeDelta::minutes(5);

/// Whether people can buy and get what they bought.
pub(crate) fn check(billing: Billing) -> Check {
    Check::degrading("stripe", move || {
        let billing = billing.clone();
        async move { billing.check().await }
    })
}

impl Billing {
    async fn check(&self) -> anyhow::Result<()> {
        match self.stripe() {
            Err(Error::Free) => return Ok(()),
            stripe => stripe?,
        };
        let now = self.clock.now();
        let inbox = sqlx::query!(
            r#"select count(*) as "waiting!", min(received_at) as oldest,
                      (select max(received_at) from stripe_events) as newest
               from stripe_events
               where handled_at is null and received_at < $1"#,
            now - PATIENCE,
        )
        .fetch_one(self.db.pool())
        .await?;
        let minutes = |time: DateTime<Utc>| (now - time).num_minutes();
        if let (Some(oldest), Some(newest)) = (inbox.oldest, inbox.newest) {
            anyhow::bail!(
                "{} events of Stripe's wait to be applied, the first for {} minutes; the last \
                 event came {} minutes ago",
                inbox.waiting,
                minutes(oldest),
                minutes(newest),
            );
        }
        Ok(())
    }
}
