use anyhow::{Context, ensure};
use bytes::Bytes;
use egress::Limits;
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use webhooks::Secret;

use crate::{Alerts, notice::Notice};

/// A way to tell, other than by mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Channel {
    /// What Slack, and many others, understand.
    Slack,
    /// Signed JSON.
    Webhook,
}

impl Alerts {
    /// Those that are set up.
    pub(crate) fn channels(&self) -> impl Iterator<Item = Channel> {
        let slack = self.config.alert_slack_url.as_ref().map(|_| Channel::Slack);
        let webhook = self.config.alert_webhook_url.as_ref().map(|_| Channel::Webhook);
        [slack, webhook].into_iter().flatten()
    }

    /// Mails a notice to everybody who is to know, with the caller's transaction.
    pub(crate) async fn mail(&self, db: &mut PgConnection, notice: &Notice) -> sqlx::Result<()> {
        for address in &self.config.alert_emails {
            let mail = email::Notice {
                name: "",
                subject: &notice.subject,
                paragraphs: &notice.paragraphs,
            };
            self.mailer.queue(&mut *db, address, None, &mail).await?;
        }
        Ok(())
    }

    /// Tells by `channel`, now; `id` is the same for every attempt.
    pub(crate) async fn tell(
        &self,
        channel: Channel,
        notice: &Notice,
        id: &str,
    ) -> anyhow::Result<()> {
        let (url, headers, body) = match channel {
            Channel::Slack => {
                let body = json!({ "text": notice.text() }).to_string();
                (&self.config.alert_slack_url, HeaderMap::new(), body)
            }
            Channel::Webhook => {
                let body = notice.json.to_string();
                (&self.config.alert_webhook_url, self.signed(id, &body)?, body)
            }
        };
        let url = url.as_ref().context("the channel is no longer set up")?;
        self.post(url, headers, body).await
    }

    async fn post(
        &self,
        url: &SecretString,
        mut headers: HeaderMap,
        body: String,
    ) -> anyhow::Result<()> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let target = self.egress.target(url.expose_secret())?;
        let answer =
            self.egress.post(&target, headers, Bytes::from(body), Limits::default()).await?;
        ensure!(answer.status.is_success(), "it was answered with {}", answer.status);
        Ok(())
    }

    /// The headers of Standard Webhooks.
    fn signed(&self, id: &str, body: &str) -> anyhow::Result<HeaderMap> {
        let secret = self.config.alert_webhook_secret.as_ref();
        let secret = secret.and_then(|secret| Secret::read(secret.expose_secret()));
        let secret = secret.context("there is no secret to sign with")?;
        Ok(webhooks::headers(&[secret], id, self.clock.now().timestamp(), body)?)
    }
}
