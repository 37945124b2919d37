use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use crate::{
    answer,
    error::ProviderError,
    upstream::{NoAnswer, Response},
};

/// How long a key rests if the provider is busy and does not say for how long.
const BUSY: Duration = Duration::from_millis(500);
/// How long a key rests that was refused, or whose account is used up; also the longest rest.
const REFUSED: Duration = Duration::from_mins(5);
/// No error is longer.
const LARGEST: usize = 64 * 1024;
/// How long an error may stop in the middle.
const SILENCE: Duration = Duration::from_secs(5);

/// Why a provider gave no answer, and who is to blame.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: ProviderError,
    pub(crate) blame: Blame,
}

/// Whose fault it is that there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    /// The caller's: the server works.
    Caller,
    /// The server's.
    Server,
    /// The key has made too many calls; it should rest that long.
    Busy(Duration),
    /// The key is not accepted, or its account is used up.
    Key(Duration),
}

impl Failure {
    pub(crate) fn lost(reason: String) -> Self {
        Self { error: ProviderError::Lost { reason }, blame: Blame::Server }
    }

    /// What it means that there was no answer.
    pub(crate) fn unanswered(NoAnswer { unsent, reason }: NoAnswer) -> Self {
        if unsent {
            Self::unavailable(format!("no connection ({reason})"), None, Blame::Server)
        } else {
            Self::lost(reason)
        }
    }

    fn unavailable(reason: String, retry_after: Option<Duration>, blame: Blame) -> Self {
        Self { error: ProviderError::Unavailable { reason, retry_after }, blame }
    }

    /// What an error answer means.
    pub(crate) async fn read(response: Response) -> Self {
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let body = answer::read(response, LARGEST, SILENCE).await.unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        Self::of(status, retry_after, &body["error"])
    }

    pub(crate) fn of(status: StatusCode, retry_after: Option<Duration>, error: &Value) -> Self {
        let [kind, code] = ["type", "code"].map(|name| error[name].as_str().unwrap_or("-"));
        // Without the message: it may quote what the caller sent.
        let reason = format!("{status}, type {kind}, code {code}");
        if is_used_up(kind, code) {
            return Self::unavailable(reason, retry_after, Blame::Key(REFUSED));
        }
        match status.as_u16() {
            // A proxy gave up waiting; the provider behind it may have gone on.
            408 | 504 | 520..=527 => Self::lost(reason),
            401 | 403 => Self::unavailable(reason, None, Blame::Key(REFUSED)),
            402 => Self::unavailable(reason, retry_after, Blame::Key(REFUSED)),
            429 => {
                let rest = retry_after.unwrap_or(BUSY).min(REFUSED);
                Self::unavailable(reason, retry_after, Blame::Busy(rest))
            }
            // These are about our address or the server; we follow no redirects.
            300..=399 | 404 | 500.. => Self::unavailable(reason, retry_after, Blame::Server),
            _ => {
                let error = ProviderError::Refused { status, error: error.clone() };
                Self { error, blame: Blame::Caller }
            }
        }
    }
}

/// Whether the account behind the key has no money left, whatever the status says.
fn is_used_up(kind: &str, code: &str) -> bool {
    [kind, code].iter().any(|it| {
        matches!(*it, "insufficient_quota" | "billing_hard_limit_reached" | "billing_error")
            || it.starts_with("billing_hard_limit")
    })
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;
    use serde_json::json;

    use super::{BUSY, Blame, Failure, REFUSED};
    use crate::error::ProviderError;

    fn failure(status: u16, code: &str) -> Failure {
        Failure::of(StatusCode::from_u16(status).unwrap(), None, &json!({ "code": code }))
    }

    #[test]
    fn an_account_without_money_is_never_the_callers_fault() {
        for (status, code) in
            [(400, "billing_hard_limit_reached"), (429, "insufficient_quota"), (402, "")]
        {
            let Failure { error, blame } = failure(status, code);
            assert!(matches!(error, ProviderError::Unavailable { .. }), "{status} {code}");
            assert_eq!(blame, Blame::Key(REFUSED));
        }
    }

    #[test]
    fn a_busy_provider_says_how_long_its_key_rests_within_reason() {
        assert_eq!(failure(429, "rate_limit_exceeded").blame, Blame::Busy(BUSY));
        let asked = |seconds| {
            let wait = Some(Duration::from_secs(seconds));
            Failure::of(StatusCode::TOO_MANY_REQUESTS, wait, &json!({})).blame
        };
        assert_eq!(asked(7), Blame::Busy(Duration::from_secs(7)));
        assert_eq!(asked(86_400), Blame::Busy(REFUSED));
    }

    #[test]
    fn what_the_caller_can_correct_is_passed_on() {
        let Failure { error, blame } = failure(400, "context_length_exceeded");
        assert!(matches!(error, ProviderError::Refused { .. }));
        assert_eq!(blame, Blame::Caller);
    }

    #[test]
    fn the_reason_never_quotes_the_providers_words() {
        let error = json!({ "message": "you said: secret", "type": "server_error" });
        let failure = Failure::of(StatusCode::INTERNAL_SERVER_ERROR, None, &error);
        assert!(!failure.error.to_string().contains("secret"), "{}", failure.error);
    }
}
