use anyhow::Context;
use chrono::{DateTime, Utc};
use jobs::Job;
use kernel::Id;
use serde::{Deserialize, Serialize};

use crate::{
    Alerts,
    alert::{Alert, Event},
    channel::Channel,
    notice::Notice,
};

/// Tells of an alert by one channel.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Deliver {
    pub(crate) alert: Id<Alert>,
    pub(crate) event: Event,
    pub(crate) channel: Channel,
    /// Which notice of the alert it is.
    pub(crate) notice: i32,
    pub(crate) at: DateTime<Utc>,
}

impl Job for Deliver {
    const NAME: &'static str = "alerts.deliver";
    type Context = Alerts;

    async fn run(self, alerts: Alerts) -> anyhow::Result<()> {
        let Some(alert) = Alert::find(alerts.db.pool(), self.alert).await? else { return Ok(()) };
        if self.notice < alert.notices {
            // A channel that failed for long would be told that it began after it was over.
            return Ok(());
        }
        let rule = alerts.rules.iter().find(|rule| rule.name == alert.rule);
        let rule = rule.context("a newer version of the program has this rule")?;
        let notice = Notice::new(rule, &alert, self.event, self.at);
        let id = format!("{}.{}", alert.id, self.notice);
        alerts.tell(self.channel, &notice, &id).await
    }
}
