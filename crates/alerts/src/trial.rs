use kernel::Id;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Alerts, alert::Alert, notice::Notice};

/// Whether a test alert got through by one channel.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AlertTest)]
pub struct Trial {
    /// `email`, `slack` or `webhook`.
    pub channel: String,
    /// Whether it was taken. A mail is only queued: see whether it arrives.
    pub delivered: bool,
    /// Why it was not.
    pub error: Option<String>,
}

impl Alerts {
    /// Sends a test alert by every channel that is set up, now and once.
    pub async fn try_channels(&self) -> anyhow::Result<Vec<Trial>> {
        let notice = Notice::trial(self.clock.now());
        let mut trials = Vec::new();
        if !self.config.alert_emails.is_empty() {
            let mut tx = self.db.begin().await?;
            self.mail(&mut tx, &notice).await?;
            tx.commit().await?;
            trials.push(Trial { channel: "email".to_owned(), delivered: true, error: None });
        }
        for channel in self.channels() {
            let id = format!("{}.test", Id::<Alert>::new());
            let outcome = self.tell(channel, &notice, &id).await;
            trials.push(Trial {
                channel: format!("{channel:?}").to_lowercase(),
                delivered: outcome.is_ok(),
                error: outcome.err().map(|error| format!("{error:#}")),
            });
        }
        Ok(trials)
    }
}
