use auth::Recipient;
use jobs::Job;
use quotas::CreditAlert;
use serde::{Deserialize, Serialize};

use crate::{Ai, webhook_events::CreditsLow};

/// Tells those who pay and their programs, every ten minutes, that credits run out or have run out; each once until there are
/// new ones.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AlertCredits {}

impl Job for AlertCredits {
    const NAME: &'static str = "ai.alert_credits";
    const MAX_ATTEMPTS: i16 = 1;
    type Context = Ai;

    async fn run(self, ai: Ai) -> anyhow::Result<()> {
        for alert in CreditAlert::due(ai.db.pool(), ai.clock.now()).await? {
            ai.tell_of_credits(&alert).await?;
        }
        Ok(())
    }
}

impl Ai {
    async fn tell_of_credits(&self, alert: &CreditAlert) -> sqlx::Result<()> {
        let mut tx = self.db.begin().await?;
        let now = self.clock.now();
        if !alert.note(&mut tx, now).await? {
            return Ok(());
        }
        webhooks::emit(&mut tx, alert.org, &CreditsLow { left: alert.left }, now).await?;
        for Recipient { email, user, name } in &Recipient::payers(&mut *tx, alert.org).await? {
            let mail = email::CreditsLow { name, left: alert.left, org: &alert.name };
            self.mailer.queue(&mut tx, email, *user, &mail).await?;
        }
        tx.commit().await
    }
}
