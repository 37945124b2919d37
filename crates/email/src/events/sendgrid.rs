use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey};
use axum::{
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use http::{HeaderMap, StatusCode};
use kernel::Id;
use serde::Deserialize;
use serde_json::Value;
use utoipa_axum::{
    router::{UtoipaMethodRouter, UtoipaMethodRouterExt},
    routes,
};
use web::Problem;

use super::{
    invalid_signature, is_recent, not_configured, readable,
    told::{Told, What},
};
use crate::{Email, Mailer};

/// SendGrid tells of up to so many bytes of events at once.
const BODY_LIMIT: usize = 1024 * 1024;
/// What a mail says to SendGrid alone, so that everything told of it names it: a late bounce has no `Message-ID`.
pub(crate) const NAMED: &str = "X-SMTPAPI";
const SIGNATURE: &str = "x-twilio-email-event-webhook-signature";
const TIMESTAMP: &str = "x-twilio-email-event-webhook-timestamp";

pub(super) fn routes() -> UtoipaMethodRouter<Mailer> {
    routes!(receive_sendgrid_events).layer(DefaultBodyLimit::max(BODY_LIMIT))
}

/// The value of [`NAMED`].
pub(crate) fn named(id: Id<Email>) -> String {
    format!(r#"{{"unique_args":{{"mail_id":"{id}"}}}}"#)
}

/// The key that SendGrid's messages are verified with, as SendGrid shows it: base 64.
pub(crate) struct PublicKey(ParsedPublicKey);

impl PublicKey {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let key = BASE64_STANDARD.decode(text.trim()).ok();
        let key = key.and_then(|key| ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).ok());
        key.map(Self).ok_or_else(|| anyhow::anyhow!("is not the verification key of SendGrid"))
    }

    /// Checks the signature over the body as it came, and that it is not an old one sent again.
    fn verify(&self, headers: &HeaderMap, body: &[u8], now: DateTime<Utc>) -> Option<()> {
        let timestamp = headers.get(TIMESTAMP)?.to_str().ok()?;
        if !is_recent(timestamp, now) {
            return None;
        }
        let signature = BASE64_STANDARD.decode(headers.get(SIGNATURE)?.as_bytes()).ok()?;
        let signed = [timestamp.as_bytes(), body].concat();
        self.0.verify_sig(&signed, &signature).ok()
    }
}

/// One of the things that SendGrid tells at once. What lacks something is passed over: the others count.
#[derive(Deserialize)]
struct Event {
    #[serde(default, rename = "event")]
    what: String,
    #[serde(default)]
    timestamp: i64,
    #[serde(default, rename = "sg_event_id")]
    id: String,
    /// Comes back from the [header](NAMED) that we sent along.
    mail_id: Option<String>,
    /// Our own `Message-ID`.
    #[serde(rename = "smtp-id")]
    smtp_id: Option<String>,
    /// Of a bounce: whether it is one, or the mail was only `blocked` this time.
    #[serde(default, rename = "type")]
    kind: String,
    reason: Option<String>,
    response: Option<String>,
}

/// Receives what SendGrid tells about mails that it took over SMTP. Each event counts once, in whatever order they
/// come.
#[utoipa::path(
    post,
    path = "/v1/webhooks/sendgrid",
    tag = "email",
    params(
        ("x-twilio-email-event-webhook-timestamp" = String, Header, description = "When it was sent, in seconds since 1970"),
        ("x-twilio-email-event-webhook-signature" = String, Header, description = "ECDSA over timestamp and raw body, in base 64"),
    ),
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses((status = 204, description = "Applied, now or earlier"))
)]
async fn receive_sendgrid_events(
    State(mailer): State<Mailer>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> web::Result<StatusCode> {
    let key = mailer.told_with.sendgrid.as_ref();
    let key = key.ok_or_else(|| not_configured("SENDGRID_WEBHOOK_KEY"))?;
    let body = readable(body)?;
    let verified = key.verify(&headers, &body, mailer.clock.now());
    verified.ok_or_else(|| invalid_signature("sendgrid"))?;
    let events: Vec<Value> = serde_json::from_slice(&body)
        .map_err(|_| Problem::bad_request("no_events", "it is no list of events"))?;
    let events: Vec<Event> =
        events.into_iter().filter_map(|it| serde_json::from_value(it).ok()).collect();
    let told: Vec<_> = events.iter().filter_map(Event::told).collect();
    mailer.apply(&told).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Event {
    fn told(&self) -> Option<Told<'_>> {
        Some(Told {
            id: &self.id,
            transport: "smtp",
            email: self.email(),
            provider_id: None,
            what: self.what()?,
            detail: self.reason.clone().or_else(|| self.response.clone()),
            occurred_at: DateTime::from_timestamp(self.timestamp, 0)?,
        })
    }

    /// What it tells; `None` for what nothing here depends on, such as who opened a mail.
    fn what(&self) -> Option<What> {
        match self.what.as_str() {
            "processed" => Some(What::Sent),
            "delivered" => Some(What::Delivered),
            "deferred" => Some(What::Delayed),
            "bounce" => Some(What::Bounced { for_good: self.kind != "blocked" }),
            "spamreport" => Some(What::Complained),
            "dropped" => Some(What::Suppressed),
            _ => None,
        }
    }

    fn email(&self) -> Option<Id<Email>> {
        let message_id = || self.smtp_id.as_ref()?.trim_start_matches('<').split('@').next();
        self.mail_id.as_deref().or_else(message_id)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use http::HeaderMap;

    use super::{PublicKey, SIGNATURE, TIMESTAMP};

    /// The example of SendGrid's own libraries.
    const KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA==";
    const SIGNED: &str = "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6BpSzoQsbVRamr2nlxFDWYNH2j/0=";
    const BODY: &[u8] =
        br#"{"category":"example_payload","event":"test_event","message_id":"message_id"}"#;
    const SENT: i64 = 1_588_788_367;

    fn headers(timestamp: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(TIMESTAMP, timestamp.parse().unwrap());
        headers.insert(SIGNATURE, signature.parse().unwrap());
        headers
    }

    #[test]
    fn sendgrids_public_vector_verifies_for_five_minutes() {
        let key = PublicKey::parse(KEY).unwrap();
        let sent = DateTime::from_timestamp(SENT, 0).unwrap();
        let valid = headers("1588788367", SIGNED);
        assert!(key.verify(&valid, BODY, sent).is_some());
        for minutes in [-6, 6] {
            assert!(key.verify(&valid, BODY, sent + TimeDelta::minutes(minutes)).is_none());
        }
    }

    #[test]
    fn nothing_else_verifies_as_sendgrids() {
        let key = PublicKey::parse(KEY).unwrap();
        let sent = DateTime::from_timestamp(SENT, 0).unwrap();
        let refused = |headers: &HeaderMap, body| key.verify(headers, body, sent).is_none();
        assert!(refused(&headers("1588788368", SIGNED), BODY));
        assert!(refused(&headers("1588788367", "MEUC"), BODY));
        assert!(refused(&headers("1588788367", ""), BODY));
        assert!(refused(&headers("1588788367", SIGNED), b"[]"));
        assert!(refused(&HeaderMap::new(), BODY));
        let other = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEj+thisisnokeyatall";
        assert!(PublicKey::parse(other).is_err() && PublicKey::parse("").is_err());
    }
}
