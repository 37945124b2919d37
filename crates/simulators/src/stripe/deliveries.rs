use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use hmac::{Hmac, KeyInit, Mac};
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;
use tokio::{sync::watch, time::sleep};

use super::{
    error::Error,
    shape::{integer, text},
    simulator::Simulator,
    versions,
    webhook_endpoints::{self, Target},
};

/// Pauses before the second and later tries; then Stripe would go on for days, and the simulator gives up.
const RETRIES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

const TIMEOUT: Duration = Duration::from_secs(20);

/// How events reach the webhook.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// How many times each event is sent, all at the same moment.
    pub copies: usize,
    /// Whether the events of one action come last first.
    pub reverse: bool,
    /// Shuffles the events of one action, always the same for the same seed.
    pub shuffle: Option<u64>,
    /// How long each action's events are held back.
    pub delay_milliseconds: u64,
    /// Whether events get lost.
    pub drop: bool,
    /// How many of the first tries to deliver an event get lost on the way; then it is tried again.
    pub lose_tries: usize,
    /// The version in which events are shown to the webhook, like `2024-06-20`; the newest if nothing is said.
    pub api_version: Option<String>,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            copies: 1,
            reverse: false,
            shuffle: None,
            delay_milliseconds: 0,
            drop: false,
            lose_tries: 0,
            api_version: None,
        }
    }
}

impl Delivery {
    /// The order in which the events of one action are sent.
    fn arrange(&self, events: &mut [String]) {
        if self.reverse {
            events.reverse();
        }
        if let Some(seed) = self.shuffle {
            events.shuffle(&mut StdRng::seed_from_u64(seed));
        }
    }
}

/// One try to deliver an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The event's id.
    pub event: String,
    /// The event's type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it was sent.
    #[serde(default)]
    pub url: String,
    /// What the webhook answered, if it did.
    pub status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<String>,
}

impl Attempt {
    /// Whether the webhook took the event.
    pub fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// Counts as delivering until it is dropped.
struct Delivering(watch::Sender<usize>);

impl Drop for Delivering {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Simulator {
    /// Sends the events of one action in the background.
    pub(super) fn deliver(self: &Arc<Self>, mut events: Vec<String>) {
        let mode = self.delivery();
        if mode.drop || events.is_empty() {
            return;
        }
        mode.arrange(&mut events);
        let delivering = self.delivering();
        let simulator = Arc::clone(self);
        tokio::spawn(async move {
            sleep(Duration::from_millis(mode.delay_milliseconds)).await;
            for event in events {
                for target in simulator.targets(&event) {
                    if mode.lose_tries > 0 {
                        simulator.retry_later(event.clone(), target, mode.lose_tries);
                        continue;
                    }
                    let copies = (0..mode.copies).map(|_| simulator.send(&event, &target));
                    if !join_all(copies).await.iter().any(Attempt::succeeded) {
                        simulator.retry_later(event.clone(), target, 1);
                    }
                }
            }
            drop(delivering);
        });
    }

    /// The webhook, and the endpoints that were added by calls and want the event.
    fn targets(&self, event: &str) -> Vec<Target> {
        let state = self.state();
        let Some(event) = state.get("event", event) else { return Vec::new() };
        let mut targets = webhook_endpoints::targets(&state, text(event, "type"));
        if let Some(url) = self.webhook_url() {
            let secret = self.webhook_secret.clone();
            targets.push(Target { url, secret, api_version: self.delivery().api_version });
        }
        targets
    }

    /// Tries again after `tries` that failed, without holding up the events that follow.
    fn retry_later(self: &Arc<Self>, event: String, target: Target, tries: usize) {
        let delivering = self.delivering();
        let simulator = Arc::clone(self);
        tokio::spawn(async move {
            for pause in RETRIES.into_iter().skip(tries - 1) {
                sleep(pause).await;
                if simulator.send(&event, &target).await.succeeded() {
                    break;
                }
            }
            drop(delivering);
        });
    }

    fn delivering(&self) -> Delivering {
        self.delivering.send_modify(|count| *count += 1);
        Delivering(self.delivering.clone())
    }

    /// Waits until nothing is being delivered or tried again.
    pub(super) async fn settled(&self) {
        let mut count = self.delivering.subscribe();
        // The sender lives as long as the simulator, so this cannot fail.
        let _ = count.wait_for(|count| *count == 0).await;
    }

    /// Sends an event again, whatever became of it before.
    pub(super) async fn redeliver(
        &self,
        event: &str,
        times: usize,
        parallel: bool,
    ) -> Result<Vec<Attempt>, Error> {
        if self.state().get("event", event).is_none() {
            return Err(Error::not_found("event", event));
        }
        let targets = self.targets(event);
        let sends = targets.iter().flat_map(|to| (0..times).map(|_| self.send(event, to)));
        if parallel {
            return Ok(join_all(sends).await);
        }
        let mut attempts = Vec::new();
        for send in sends {
            attempts.push(send.await);
        }
        Ok(attempts)
    }

    /// One try, written down with its outcome.
    async fn send(&self, id: &str, target: &Target) -> Attempt {
        let mut event = self.state().get("event", id).cloned().unwrap_or(Value::Null);
        if let Some(version) = &target.api_version {
            versions::show(&mut event, version);
            event["api_version"] = version.as_str().into();
        }
        let (status, error) = match self.post(target, format!("{event:#}")).await {
            Ok(status) => (Some(status), None),
            Err(error) => (None, Some(error)),
        };
        let (event, kind) = (id.to_owned(), text(&event, "type").to_owned());
        let attempt = Attempt { event, kind, url: target.url.clone(), status, error };
        let mut state = self.state();
        if attempt.succeeded()
            && let Some(event) = state.get_mut("event", id)
        {
            event["pending_webhooks"] = (integer(event, "pending_webhooks") - 1).max(0).into();
        }
        state.attempts.push(attempt.clone());
        if let Err(error) = state.save() {
            tracing::error!(%error, "the state of the Stripe simulator was not saved");
        }
        attempt
    }

    async fn post(&self, target: &Target, body: String) -> Result<u16, String> {
        let request = self
            .http
            .post(&target.url)
            .timeout(TIMEOUT)
            .header("content-type", "application/json; charset=utf-8")
            .header("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
            .header("stripe-signature", sign(&target.secret, self.now(), &body));
        let response = request.body(body).send().await.map_err(|error| error.to_string())?;
        Ok(response.status().as_u16())
    }
}

fn sign(secret: &str, at: i64, body: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{at}.{body}").as_bytes());
    format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()))
}
