use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
};
use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use utoipa_axum::{router::UtoipaMethodRouter, routes};
use web::Problem;

use super::{
    invalid_signature, not_configured, readable,
    told::{Told, What},
};
use crate::{Mailer, transport::TAG};

pub(super) fn routes() -> UtoipaMethodRouter<Mailer> {
    routes!(receive_resend_event)
}

/// A message of Resend's about one mail.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    created_at: DateTime<Utc>,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
struct Data {
    email_id: Option<String>,
    /// An object, or a list of names and values.
    #[serde(default)]
    tags: Value,
    bounce: Option<Bounce>,
    failed: Option<Failed>,
}

#[derive(Deserialize)]
struct Bounce {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Failed {
    #[serde(default)]
    reason: String,
}

/// Receives what Resend tells about mails. Each message counts once, in whatever order they come.
#[utoipa::path(
    post,
    path = "/v1/webhooks/resend",
    tag = "email",
    params(
        ("svix-id" = String, Header, description = "Names the message; the same when sent again"),
        ("svix-timestamp" = String, Header, description = "When it was sent, in seconds since 1970"),
        ("svix-signature" = String, Header, description = "`v1,…` over id, timestamp and raw body"),
    ),
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses((status = 204, description = "Applied, now or earlier"))
)]
async fn receive_resend_event(
    State(mailer): State<Mailer>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> web::Result<StatusCode> {
    let secret = mailer.told_with.resend.as_ref();
    let secret = secret.ok_or_else(|| not_configured("RESEND_WEBHOOK_SECRET"))?;
    let body = readable(body)?;
    let message = secret.verify(&headers, &body, mailer.clock.now());
    let message = message.ok_or_else(|| invalid_signature("resend"))?;
    let event: Event = serde_json::from_slice(&body)
        .map_err(|_| Problem::bad_request("not_an_event", "it lacks type, time or data"))?;
    mailer.apply(event.told(message.id).as_slice()).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Event {
    fn told<'a>(&'a self, id: &'a str) -> Option<Told<'a>> {
        Some(Told {
            id,
            transport: "resend",
            email: self.tag().and_then(|id| id.parse().ok()),
            provider_id: self.data.email_id.as_deref(),
            what: self.what()?,
            detail: self.detail(),
            occurred_at: self.created_at,
        })
    }

    /// What it tells; `None` for what nothing here depends on, such as who opened a mail.
    fn what(&self) -> Option<What> {
        let bounce = self.data.bounce.as_ref();
        let passes = bounce.is_some_and(|it| matches!(&*it.kind, "Transient" | "Undetermined"));
        match self.kind.as_str() {
            "email.sent" => Some(What::Sent),
            "email.delivered" => Some(What::Delivered),
            "email.delivery_delayed" => Some(What::Delayed),
            "email.bounced" => Some(What::Bounced { for_good: !passes }),
            "email.complained" => Some(What::Complained),
            "email.suppressed" => Some(What::Suppressed),
            "email.failed" => Some(What::Failed),
            _ => None,
        }
    }

    fn detail(&self) -> Option<String> {
        let bounce = self.data.bounce.as_ref().map(|it| format!("{}: {}", it.kind, it.message));
        bounce.or_else(|| self.data.failed.as_ref().map(|it| it.reason.clone()))
    }

    fn tag(&self) -> Option<&str> {
        match &self.data.tags {
            Value::Object(tags) => tags.get(TAG).and_then(Value::as_str),
            Value::Array(tags) => {
                let tag = tags.iter().find(|it| it["name"] == TAG);
                tag.and_then(|it| it["value"].as_str())
            }
            _ => None,
        }
    }
}
