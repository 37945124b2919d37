use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{error::Error, state::State};

/// How long Stripe remembers a key.
const LIFETIME: i64 = 24 * 3600;

/// The answer to the first call with a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Recorded {
    /// Method, path and parameters of that call.
    pub(super) fingerprint: String,
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) request_id: String,
    pub(super) at: i64,
}

impl Recorded {
    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// What was answered to `key` before, unless the call was another one then.
pub(super) fn recall<'a>(
    state: &'a State,
    key: &str,
    fingerprint: &str,
    now: i64,
) -> Result<Option<&'a Recorded>, Error> {
    let recorded = state.idempotency.get(key).filter(|recorded| recorded.at + LIFETIME > now);
    match recorded {
        Some(recorded) if recorded.fingerprint != fingerprint => Err(Error::key_reused(key)),
        recorded => Ok(recorded),
    }
}

pub(super) fn record(state: &mut State, key: String, recorded: Recorded) {
    let now = recorded.at;
    state.idempotency.retain(|_, old| old.at + LIFETIME > now);
    state.idempotency.insert(key, recorded);
}

/// The keys of running calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Running(Arc<Mutex<HashSet<String>>>);

impl Running {
    /// Claims `key` until the guard is dropped, also when the caller hangs up.
    pub(super) fn claim(&self, key: &str) -> Result<Claim, Error> {
        if self.with(|keys| keys.insert(key.to_owned())) {
            Ok(Claim { running: self.clone(), key: key.to_owned() })
        } else {
            Err(Error::key_in_use(key))
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashSet<String>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) struct Claim {
    running: Running,
    key: String,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.running.with(|keys| keys.remove(&self.key));
    }
}
