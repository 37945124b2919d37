use std::{collections::BTreeMap, time::Duration};

use reqwest::{Response, StatusCode, header, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Failure, Outgoing};

/// How long we wait where a busy provider does not say.
const PAUSE: Duration = Duration::from_mins(1);
/// The shortest pause that is made, whatever it says: it has said that it is busy.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that is believed.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// An answer is a few lines; whatever is longer is none.
const LARGEST_ANSWER: usize = 64 * 1024;
/// The tag by which events about a mail name it, even before we have heard what Resend calls it.
pub(crate) const TAG: &str = "email";

/// Resend's API.
#[derive(Clone)]
pub(crate) struct Resend {
    http: reqwest::Client,
    url: Url,
    key: SecretString,
}

#[derive(Serialize)]
struct Request<'a> {
    from: String,
    to: [&'a str; 1],
    subject: &'a str,
    html: &'a str,
    text: &'a str,
    headers: BTreeMap<&'static str, String>,
    tags: [Tag; 2],
}

#[derive(Serialize)]
struct Tag {
    name: &'static str,
    value: String,
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

#[derive(Default, Deserialize)]
struct Refused {
    #[serde(default)]
    name: String,
    #[serde(default)]
    message: String,
}

impl Resend {
    pub(crate) fn new(url: Url, key: SecretString, time_limit: Duration) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(time_limit)
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self { http, url, key })
    }

    /// Hands a mail over under its own idempotency key, so that it may be repeated until the answer is
    /// known. Answers Resend's id of it.
    pub(super) async fn send(&self, mail: &Outgoing<'_>) -> Result<String, Failure> {
        let request = self
            .http
            .post(self.at("emails"))
            .bearer_auth(self.key.expose_secret())
            .header("Idempotency-Key", format!("email/{}", mail.id))
            .json(&mail.request());
        let mut answer = request.send().await.map_err(|error| lost(&error))?;
        let (status, pause) = (answer.status(), pause(&answer));
        let body = read(&mut answer).await?;
        if status.is_success() {
            let accepted: Accepted = serde_json::from_slice(&body).map_err(|_| {
                Failure::Transient("the answer of Resend's API makes no sense".to_owned())
            })?;
            return Ok(accepted.id.chars().take(200).collect());
        }
        Err(refused(status, serde_json::from_slice(&body).unwrap_or_default(), pause))
    }

    /// Whether the API is there. Which keys may ask what differs, so any answer of its own will do.
    pub(super) async fn probe(&self) -> Result<(), Failure> {
        let asked = self.http.get(self.at("domains")).bearer_auth(self.key.expose_secret());
        let asked = asked.timeout(Duration::from_secs(3)).send().await;
        let status = asked.map_err(|error| lost(&error))?.status();
        if status.is_server_error() {
            return Err(Failure::Transient(format!("Resend's API answers {status}")));
        }
        Ok(())
    }

    fn at(&self, what: &str) -> String {
        format!("{}/{what}", self.url.as_str().trim_end_matches('/'))
    }
}

impl Outgoing<'_> {
    fn request(&self) -> Request<'_> {
        Request {
            from: self.from.to_string(),
            to: [self.to],
            subject: self.subject,
            html: self.html,
            text: self.text,
            headers: self.headers().into_iter().collect(),
            tags: [
                Tag { name: TAG, value: self.id.to_string() },
                Tag { name: "category", value: self.category.tag().to_owned() },
            ],
        }
    }
}

/// The error names the address we called, which holds nothing secret.
fn lost(error: &reqwest::Error) -> Failure {
    let what = if error.is_timeout() {
        "Resend's API did not answer in time"
    } else {
        "Resend's API could not be reached, or its answer got lost"
    };
    Failure::Transient(what.to_owned())
}

async fn read(answer: &mut Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| lost(&error))? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(Failure::Transient("the answer of Resend's API has no end".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What a refusal means for the mail.
fn refused(status: StatusCode, refused: Refused, pause: Duration) -> Failure {
    let reason: String =
        format!("{status} {}: {}", refused.name, refused.message).chars().take(300).collect();
    match status {
        StatusCode::TOO_MANY_REQUESTS => Failure::Busy { retry_after: pause },
        // The same mail is on its way already: its answer is known when that has ended.
        StatusCode::CONFLICT if refused.name == "concurrent_idempotent_requests" => {
            Failure::Transient(reason)
        }
        // A key or a domain that is not right is ours to repair, and no reason to give mails up.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::REQUEST_TIMEOUT => {
            Failure::Transient(reason)
        }
        status if status.is_client_error() => Failure::Permanent { reason, no_such_address: false },
        _ => Failure::Transient(reason),
    }
}

fn pause(answer: &Response) -> Duration {
    let seconds = answer.headers().get(header::RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    seconds.map_or(PAUSE, Duration::from_secs).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
}
