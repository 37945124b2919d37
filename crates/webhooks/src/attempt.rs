use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use egress::{Answer, Egress, Failure, Limits, Refused, Target};
use http::StatusCode;

use crate::{
    backoff,
    delivery::Delivery,
    secret::{Secret, headers},
};

/// How much of an answer is read, and kept.
const READ: usize = 16 * 1024;
const KEPT: usize = 1024;

/// What it takes to send to an endpoint.
pub(crate) struct Wire {
    pub(crate) egress: Egress,
    pub(crate) target: Result<Target, Refused>,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) timeout: Duration,
}

/// What came of an attempt.
pub(crate) struct Outcome {
    pub(crate) delivery: Delivery,
    pub(crate) result: Result<Answer, Failure>,
    pub(crate) took: TimeDelta,
}

impl Wire {
    /// Sends once. The receiver tells by the id whether it had the message already.
    pub(crate) async fn send(self: Arc<Self>, delivery: Delivery, now: DateTime<Utc>) -> Outcome {
        let began = Instant::now();
        let result = match &self.target {
            Ok(target) => self.post(target, &delivery, now.timestamp()).await,
            Err(refused) => Err(Failure::Refused(*refused)),
        };
        let took = TimeDelta::from_std(began.elapsed()).unwrap_or(TimeDelta::MAX);
        Outcome { delivery, result, took }
    }

    async fn post(
        &self,
        target: &Target,
        delivery: &Delivery,
        timestamp: i64,
    ) -> Result<Answer, Failure> {
        let id = delivery.message.to_string();
        let headers = headers(&self.secrets, &id, timestamp, &delivery.payload)
            .expect("neither ids nor signatures have characters that a header cannot have");
        let limits = Limits { time: self.timeout, body: READ };
        let body = Bytes::from(delivery.payload.clone());
        self.egress.post(target, headers, body, limits).await
    }
}

impl Outcome {
    /// Whether the receiver took it. A redirection is not followed, so it is a failure.
    pub(crate) fn is_success(&self) -> bool {
        self.status().is_some_and(|it| it.is_success())
    }

    /// Whether the receiver says that it is no more.
    pub(crate) fn is_gone(&self) -> bool {
        self.status() == Some(StatusCode::GONE)
    }

    /// The status that came back, if any did.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        self.result.as_ref().ok().map(|answer| answer.status)
    }

    /// How long the receiver wants to be left alone, if it says so.
    pub(crate) fn asked_for(&self, now: DateTime<Utc>) -> Option<TimeDelta> {
        self.result.as_ref().ok().and_then(|answer| backoff::asked_for(&answer.headers, now))
    }

    /// What went wrong, for the log.
    pub(crate) fn error(&self) -> Option<String> {
        match &self.result {
            Ok(answer) if answer.status.is_success() => None,
            Ok(answer) if answer.status.is_redirection() => {
                Some("redirections are not followed".to_owned())
            }
            Ok(answer) => Some(format!("answered {}", answer.status.as_u16())),
            Err(failure @ Failure::Refused(_)) => Some(format!("blocked: {failure}")),
            Err(failure) => Some(failure.to_string()),
        }
    }

    /// The beginning of the body that came back, as far as it is text.
    pub(crate) fn response(&self) -> String {
        let body = self.result.as_ref().map(|answer| &answer.body[..]).unwrap_or_default();
        let text = String::from_utf8_lossy(&body[..body.len().min(KEPT)]);
        let plain = |c: char| if c.is_control() && c != '\n' { '\u{FFFD}' } else { c };
        text.chars().map(plain).collect()
    }
}
