use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::DateTime;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Mail, WEBHOOK_SECRET};

/// What there is to tell about a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    /// It was taken.
    Sent,
    /// The reader's server has it.
    Delivered,
    /// The reader's server has put it off.
    DeliveryDelayed,
    /// The reader's server refused it.
    Bounced(Bounce),
    /// Its reader called it spam.
    Complained,
    /// It could not be sent.
    Failed,
    /// Its reader opened it, which nobody here wants to know.
    Opened,
}

/// How long a refusal lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounce {
    /// For good.
    Permanent,
    /// For a while.
    Transient,
}

/// A message as it arrives at the webhook.
#[derive(Clone, Debug)]
pub struct Signed {
    /// Its headers.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub body: String,
}

impl Tells {
    fn kind(self) -> &'static str {
        match self {
            Self::Sent => "email.sent",
            Self::Delivered => "email.delivered",
            Self::DeliveryDelayed => "email.delivery_delayed",
            Self::Bounced(_) => "email.bounced",
            Self::Complained => "email.complained",
            Self::Failed => "email.failed",
            Self::Opened => "email.opened",
        }
    }

    fn add_to(self, data: &mut Value) {
        match self {
            Self::Bounced(bounce) => {
                let kind = match bounce {
                    Bounce::Permanent => "Permanent",
                    Bounce::Transient => "Transient",
                };
                data["bounce"] = json!({
                    "type": kind, "subType": "General", "message": "The recipient's server refused it.",
                });
            }
            Self::Failed => data["failed"] = json!({ "reason": "reached_daily_quota" }),
            _ => {}
        }
    }
}

impl Signed {
    pub(super) fn new(mail: &Mail, what: Tells, now: i64) -> Self {
        let at = DateTime::from_timestamp(now, 0).unwrap_or_default().to_rfc3339();
        let tags: serde_json::Map<_, _> =
            mail.request.tags.iter().map(|tag| (tag.name.clone(), json!(tag.value))).collect();
        let mut data = json!({
            "created_at": at, "email_id": mail.id, "from": mail.request.from,
            "to": mail.request.to, "subject": mail.request.subject, "tags": tags,
        });
        what.add_to(&mut data);
        let body = json!({ "type": what.kind(), "created_at": at, "data": data }).to_string();
        let id = format!("msg_{}", hex::encode(rand::random::<[u8; 12]>()));
        Self::sign(&id, now, body)
    }

    /// Any body, signed as the webhook's.
    pub fn sign(id: &str, timestamp: i64, body: String) -> Self {
        let secret = WEBHOOK_SECRET.trim_start_matches("whsec_");
        let secret = BASE64_STANDARD.decode(secret).expect("the secret is base 64");
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).expect("keys of any length");
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        let headers = vec![
            ("svix-id", id.to_owned()),
            ("svix-timestamp", timestamp.to_string()),
            ("svix-signature", format!("v1,{signature}")),
            ("content-type", "application/json".to_owned()),
        ];
        Self { headers, body }
    }
}
