use chrono::{DateTime, TimeDelta, Utc};
use jobs::{Enqueue, Job};
use serde::{Deserialize, Serialize};

use crate::{Alerts, Rule, alert::Alert, deliver::Deliver, notice::Notice};

/// How long what is over is kept.
const KEPT: TimeDelta = TimeDelta::days(180);

/// Looks at every rule.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Evaluate {}

impl Job for Evaluate {
    const NAME: &'static str = "alerts.evaluate";
    const MAX_ATTEMPTS: i16 = 1;
    type Context = Alerts;

    async fn run(self, alerts: Alerts) -> anyhow::Result<()> {
        let now = alerts.clock.now();
        for rule in &alerts.rules {
            // One that cannot be measured says nothing of the others.
            if let Err(error) = alerts.look_at(rule, now).await {
                let error = format!("{error:#}");
                tracing::error!(rule = rule.name, error, "a rule could not be looked at");
            }
        }
        Ok(())
    }
}

impl Alerts {
    async fn look_at(&self, rule: &Rule, now: DateTime<Utc>) -> anyhow::Result<()> {
        let value = (rule.measure)(self.db.pool().clone(), now).await?;
        let remind = TimeDelta::hours(self.config.alert_remind_hours.into());
        let mut tx = self.db.begin().await?;
        if let Some((alert, Some(event))) =
            Alert::observe(&mut tx, rule, value, remind, now).await?
        {
            tracing::warn!(rule = rule.name, value = alert.value, ?event, "alert");
            self.mail(&mut tx, &Notice::new(rule, &alert, event, now)).await?;
            for channel in self.channels() {
                let notice = alert.notices;
                let deliver = Deliver { alert: alert.id, event, channel, notice, at: now };
                Enqueue::new(&deliver).urgent().send(&mut tx).await?;
            }
        }
        Ok(tx.commit().await?)
    }
}

/// Forgets what is long over.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Purge {}

impl Job for Purge {
    const NAME: &'static str = "alerts.purge";
    type Context = Alerts;

    async fn run(self, alerts: Alerts) -> anyhow::Result<()> {
        let (now, db) = (alerts.clock.now(), alerts.db.pool());
        sqlx::query!("delete from alerts where resolved_at < $1", now - KEPT).execute(db).await?;
        sqlx::query!("delete from alert_silences where until < $1", now - KEPT).execute(db).await?;
        sqlx::query!("delete from alert_answers where minute < $1", now - TimeDelta::days(1))
            .execute(db)
            .await?;
        Ok(())
    }
}
