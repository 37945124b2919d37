use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;
use tokio::{sync::watch, time::sleep};

use super::{error::Error, shape::text, simulator::Simulator};

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
    /// How long each action's events are held back.
    pub delay_milliseconds: u64,
    /// Whether events get lost.
    pub drop: bool,
}

impl Default for Delivery {
    fn default() -> Self {
        Self { copies: 1, reverse: false, delay_milliseconds: 0, drop: false }
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
        if mode.drop || events.is_empty() || self.webhook_url().is_none() {
            return;
        }
        if mode.reverse {
            events.reverse();
        }
        let delivering = self.delivering();
        let simulator = Arc::clone(self);
        tokio::spawn(async move {
            sleep(Duration::from_millis(mode.delay_milliseconds)).await;
            for event in events {
                let copies = (0..mode.copies).map(|_| simulator.send(&event));
                if !join_all(copies).await.iter().any(Attempt::succeeded) {
                    simulator.retry_later(event);
                }
            }
            drop(delivering);
        });
    }

    /// Tries again without holding up the events that follow.
    fn retry_later(self: &Arc<Self>, event: String) {
        let delivering = self.delivering();
        let simulator = Arc::clone(self);
        tokio::spawn(async move {
            for pause in RETRIES {
                sleep(pause).await;
                if simulator.send(&event).await.succeeded() {
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
        if parallel {
            return Ok(join_all((0..times).map(|_| self.send(event))).await);
        }
        let mut attempts = Vec::new();
        for _ in 0..times {
            attempts.push(self.send(event).await);
        }
        Ok(attempts)
    }

    /// One try, written down with its outcome.
    async fn send(&self, id: &str) -> Attempt {
        let event = self.state().get("event", id).cloned().unwrap_or(Value::Null);
        let (status, error) = match self.post(format!("{event:#}")).await {
            Ok(status) => (Some(status), None),
            Err(error) => (None, Some(error)),
        };
        let kind = text(&event, "type").to_owned();
        let attempt = Attempt { event: id.to_owned(), kind, status, error };
        let mut state = self.state();
        if attempt.succeeded()
            && let Some(event) = state.get_mut("event", id)
        {
            event["pending_webhooks"] = 0.into();
        }
        state.attempts.push(attempt.clone());
        if let Err(error) = state.save() {
            tracing::error!(%error, "the state of the Stripe simulator was not saved");
        }
        attempt
    }

    async fn post(&self, body: String) -> Result<u16, String> {
        let url = self.webhook_url().ok_or("there is no webhook")?;
        let request = self
            .http
            .post(url)
            .timeout(TIMEOUT)
            .header("content-type", "application/json; charset=utf-8")
            .header("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
            .header("stripe-signature", sign(&self.webhook_secret, self.now(), &body));
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
