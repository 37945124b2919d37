//! What providers tell about mails: delivered, bounced, called spam.

mod resend;
mod sendgrid;
mod standard_webhooks;
mod told;

use axum::{body::Bytes, extract::rejection::BytesRejection};
use chrono::{DateTime, TimeDelta, Utc};
use http::StatusCode;
use web::{Access, Problem, RateClass, Routes};

use crate::Mailer;

pub(crate) use sendgrid::{NAMED, PublicKey, named};
pub(crate) use standard_webhooks::Secret;

/// What messages of providers are verified with.
#[derive(Default)]
pub(crate) struct Keys {
    pub(crate) resend: Option<Secret>,
    pub(crate) sendgrid: Option<PublicKey>,
}

pub(crate) fn routes() -> Routes<Mailer> {
    let access = Access::public().limited_as(RateClass::Unlimited);
    Routes::new().route(access, resend::routes()).route(access, sendgrid::routes())
}

/// What is not 2xx is sent again, so nothing is lost while `setting` is not set.
fn not_configured(setting: &str) -> Problem {
    let detail = format!("{setting} is not set");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_configured", detail)
}

/// How old a message may be, and how far ahead its sender's clock.
const WINDOW: TimeDelta = TimeDelta::minutes(5);

/// Whether a message of this time, in seconds since 1970, was sent just now: it is no old one sent again.
fn is_recent(timestamp: &str, now: DateTime<Utc>) -> bool {
    let sent = timestamp.parse().ok().and_then(|it| DateTime::from_timestamp(it, 0));
    sent.is_some_and(|sent| (now - sent).abs() <= WINDOW)
}

fn readable(body: Result<Bytes, BytesRejection>) -> web::Result<Bytes> {
    body.map_err(|rejection| {
        Problem::new(rejection.status(), "unreadable_body", "the body is too large or was cut")
    })
}

fn invalid_signature(provider: &'static str) -> Problem {
    tracing::warn!(provider, "a message about mails was refused: its signature is not valid");
    Problem::bad_request("invalid_signature", "the signature is not valid")
}
