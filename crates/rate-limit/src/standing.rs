use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;
use web::Problem;

use crate::Quota;

/// Where a caller stands under one policy, told by the headers of
/// [draft-ietf-httpapi-ratelimit-headers-11](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/11/).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) policy: &'static str,
    pub(crate) quota: Quota,
    /// How many requests may follow at once.
    pub(crate) remaining: u32,
    /// The time until one more may.
    pub(crate) window: Duration,
}

impl Standing {
    /// One too many; the next passes after `window`.
    pub(crate) fn refused(policy: &'static str, quota: Quota, window: Duration) -> Self {
        Self { policy, quota, remaining: 0, window }
    }

    /// This or `other`, whichever allows less.
    pub(crate) fn or_tighter(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if other.remaining <= self.remaining => other,
            _ => self,
        }
    }

    pub(crate) fn headers(&self) -> [(HeaderName, HeaderValue); 2] {
        let Self { policy, quota: Quota { count, per }, remaining, .. } = self;
        let unit = match per.as_secs() {
            0 => "qu=\"concurrent-requests\"".to_owned(),
            seconds => format!("w={seconds}"),
        };
        let header = |name, value| {
            let value = HeaderValue::try_from(value);
            (HeaderName::from_static(name), value.expect("policies have plain names"))
        };
        [
            header("ratelimit-policy", format!("\"{policy}\";q={count};{unit}")),
            header("ratelimit", format!("\"{policy}\";r={remaining};t={}", self.seconds())),
        ]
    }

    /// The answer to one request too many.
    pub(crate) fn refusal(&self) -> Problem {
        let seconds = self.seconds();
        let detail = format!("the limit \"{}\" is {}", self.policy, self.quota);
        // What the SDKs of OpenAI and Anthropic look for; both know this type.
        let error = json!({
            "message": detail, "type": "rate_limit_error", "code": "rate_limited", "param": null,
        });
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
            .action(format!("Wait {seconds} s and send the request again."))
            .with("violated-policies", vec![self.policy])
            .with("error", error)
            .retry_after(seconds);
        self.headers()
            .into_iter()
            .fold(problem, |problem, (name, value)| problem.header(name, value))
    }

    /// Rounded up: a client that waits as told must succeed.
    fn seconds(&self) -> u64 {
        let rest = u64::from(self.window.subsec_nanos() > 0);
        (self.window.as_secs() + rest).max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::response::IntoResponse;

    use super::Standing;
    use crate::Quota;

    fn standing(remaining: u32, milliseconds: u64) -> Standing {
        let window = Duration::from_millis(milliseconds);
        Standing { policy: "chat", quota: Quota::per_minute(30), remaining, window }
    }

    #[test]
    fn headers_are_lists_of_quoted_names_with_parameters() {
        let [policy, limit] = standing(29, 2000).headers().map(|(_, value)| value);
        assert_eq!(policy, "\"chat\";q=30;w=60");
        assert_eq!(limit, "\"chat\";r=29;t=2");
    }

    #[test]
    fn a_limit_on_calls_at_once_says_so() {
        let standing = Standing::refused("calls-at-once", Quota::at_once(3), Duration::ZERO);
        let [policy, limit] = standing.headers().map(|(_, value)| value);
        assert_eq!(policy, "\"calls-at-once\";q=3;qu=\"concurrent-requests\"");
        assert_eq!(limit, "\"calls-at-once\";r=0;t=1");
        assert!(standing.refusal().detail.ends_with("3 at once"));
    }

    #[test]
    fn a_refusal_tells_when_to_return_and_never_too_early() {
        for (milliseconds, told) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2")] {
            let problem = standing(0, milliseconds).refusal();
            assert_eq!(problem.body(None)["violated-policies"][0], "chat");
            let response = problem.into_response();
            assert_eq!(response.headers()["retry-after"], told);
            assert_eq!(response.headers()["ratelimit"], format!("\"chat\";r=0;t={told}"));
        }
    }
}
