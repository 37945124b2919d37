use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use super::{
    Config,
    action::{Action, Origin},
    calendar,
    deliveries::Delivery,
    error::Error,
    faults::{self, Fault, Trouble},
    idempotency::Running,
    state::State,
};
use crate::clock;

/// What all handlers share.
#[derive(Debug)]
pub(super) struct Simulator {
    pub(super) secret_key: String,
    pub(super) webhook_secret: String,
    /// Where it can be reached, once it listens.
    pub(super) url: OnceLock<String>,
    pub(super) running: Running,
    pub(super) http: reqwest::Client,
    /// How many tasks are delivering events.
    pub(super) delivering: watch::Sender<usize>,
    /// That an answer is held back.
    pub(super) holding: Notify,
    /// That all trouble has ended.
    pub(super) healed: Notify,
    state: Mutex<State>,
    knobs: Mutex<Knobs>,
}

/// What can be set while it runs.
#[derive(Debug, Default)]
struct Knobs {
    webhook_url: Option<String>,
    delivery: Delivery,
    faults: Vec<Fault>,
    /// The time it is for the simulator, when that is not the real one.
    now: Option<i64>,
}

impl Simulator {
    pub(super) fn new(config: Config) -> std::io::Result<Self> {
        // A proxy from the environment would swallow calls to loopback.
        let http = reqwest::Client::builder().no_proxy().build().map_err(std::io::Error::other)?;
        Ok(Self {
            secret_key: config.secret_key,
            webhook_secret: config.webhook_secret,
            url: OnceLock::new(),
            running: Running::default(),
            http,
            delivering: watch::Sender::default(),
            holding: Notify::new(),
            healed: Notify::new(),
            state: Mutex::new(State::load(config.state_file)?),
            knobs: Mutex::new(Knobs { webhook_url: config.webhook_url, ..Knobs::default() }),
        })
    }

    /// Runs one action on the state, saves what it changed and delivers what it emitted.
    ///
    /// A refusal can change something too: a session may be found to have expired.
    pub(super) fn act<T>(
        self: &Arc<Self>,
        mut origin: Origin,
        work: impl FnOnce(&mut Action) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if let (true, Some(url)) = (origin.base_url.is_empty(), self.url.get()) {
            origin.base_url.clone_from(url);
        }
        let now = self.now();
        let webhooks = usize::from(self.webhook_url().is_some());
        let mut state = self.state();
        let mut action = Action {
            state: &mut state,
            origin,
            now,
            test_clock: None,
            webhooks,
            changed: false,
            events: Vec::new(),
        };
        let result = work(&mut action);
        let Action { changed, events, .. } = action;
        if changed {
            state.save().map_err(|error| Error::internal(format!("state not saved: {error}")))?;
        }
        drop(state);
        self.deliver(events);
        result
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn knobs(&self) -> MutexGuard<'_, Knobs> {
        self.knobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn webhook_url(&self) -> Option<String> {
        self.knobs().webhook_url.clone()
    }

    pub(super) fn set_webhook(&self, url: String) {
        self.knobs().webhook_url = Some(url);
    }

    pub(super) fn now(&self) -> i64 {
        self.knobs().now.unwrap_or_else(clock::now)
    }

    pub(super) fn set_now(&self, now: Option<i64>) {
        self.knobs().now = now;
    }

    /// Moves the clock, and lets happen what falls due on the way.
    pub(super) fn live_until(self: &Arc<Self>, until: i64) -> Result<(), Error> {
        if until < self.now() {
            return Err(Error::invalid("until", "Time does not run backwards."));
        }
        self.act(Origin::default(), |action| {
            calendar::run(action, until);
            Ok(())
        })?;
        self.set_now(Some(until));
        Ok(())
    }

    pub(super) fn delivery(&self) -> Delivery {
        self.knobs().delivery.clone()
    }

    pub(super) fn set_delivery(&self, delivery: Delivery) {
        self.knobs().delivery = delivery;
    }

    pub(super) fn add_fault(&self, fault: Fault) {
        self.knobs().faults.push(fault);
    }

    pub(super) fn clear_faults(&self) {
        self.knobs().faults.clear();
        self.healed.notify_waiters();
    }

    pub(super) fn trouble(&self, path: &str) -> Option<Trouble> {
        faults::take(&mut self.knobs().faults, path)
    }

    /// Everything, for people and tests to look at.
    pub(super) fn dump(&self) -> Result<Value, Error> {
        let state = serde_json::to_value(&*self.state());
        let state = state.map_err(|error| Error::internal(error.to_string()))?;
        let knobs = self.knobs();
        Ok(json!({
            "state": state,
            "webhook_url": knobs.webhook_url,
            "delivery": knobs.delivery,
            "faults": knobs.faults,
            "now": knobs.now,
        }))
    }
}
