use anyhow::{Context, ensure};
use bytes::Bytes;
use egress::Limits;
use jobs::Job;
use kernel::Id;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use webhooks::Secret;

use super::{Ticket, message::Message, ticket::Whose};
use crate::{Error, Support};

/// Posts what a customer wrote to the help desk.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Deliver {
    pub(crate) message: Id<Message>,
}

impl Job for Deliver {
    const NAME: &'static str = "support.deliver";
    type Context = Support;

    async fn run(self, support: Support) -> anyhow::Result<()> {
        let found = sqlx::query!(
            r#"select ticket_id as "ticket: Id<Ticket>", text, created_at
               from ticket_messages where id = $1"#,
            self.message as _,
        );
        // Whoever wrote it may have had it erased.
        let Some(found) = found.fetch_optional(support.db.pool()).await? else { return Ok(()) };
        let ticket = match Ticket::get(support.db.pool(), Whose::Everybodys, found.ticket).await {
            Err(Error::NoSuchTicket) => return Ok(()),
            ticket => ticket?,
        };
        let body = json!({
            "type": "ticket.message", "timestamp": found.created_at,
            "data": { "message_id": self.message, "text": found.text, "ticket": ticket },
        });
        support.post(&self.message.to_string(), body.to_string()).await
    }
}

impl Support {
    /// Signed, and with the same `id` for every attempt.
    async fn post(&self, id: &str, body: String) -> anyhow::Result<()> {
        let url = self.config.support_webhook_url.as_ref().context("no help desk is set up")?;
        let secret = self.config.support_webhook_secret.as_ref();
        let secret = secret.and_then(|secret| Secret::read(secret.expose_secret()));
        let secret = secret.context("there is no secret to sign with")?;
        let headers = webhooks::headers(&[secret], id, self.clock.now().timestamp(), &body)?;
        let target = self.egress.target(url.expose_secret())?;
        let answer =
            self.egress.post(&target, headers, Bytes::from(body), Limits::default()).await?;
        ensure!(answer.status.is_success(), "it was answered with {}", answer.status);
        Ok(())
    }
}
