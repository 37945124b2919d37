use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Fault, signing::Signer, unique};
use crate::clock;

/// Somebody with an account at the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Identifies them at the provider, for ever.
    pub subject: String,
    /// Their address.
    pub email: String,
    /// Whether the provider knows that it is theirs.
    pub email_verified: bool,
    /// What they are called.
    pub name: String,
}

impl Default for Person {
    fn default() -> Self {
        Self {
            subject: "1001".to_owned(),
            email: "grace@example.com".to_owned(),
            email_verified: true,
            name: "Grace Hopper".to_owned(),
        }
    }
}

/// A sign-in between its two steps.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) nonce: Option<String>,
    pub(super) code_challenge: Option<String>,
    pub(super) person: Person,
}

#[derive(Debug, Default)]
struct State {
    issuer: String,
    person: Person,
    now: Option<i64>,
    /// By code; each works once.
    grants: HashMap<String, Grant>,
    /// By access token.
    tokens: HashMap<String, Person>,
    token_requests: usize,
}

/// Everything the provider knows.
#[derive(Debug)]
pub(super) struct Provider {
    state: Mutex<State>,
    fault: watch::Sender<Option<Fault>>,
    pub(super) signer: Signer,
}

impl Provider {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            fault: watch::Sender::new(None),
            signer: Signer::generate(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_issuer(&self, issuer: String) {
        self.state().issuer = issuer;
    }

    pub(super) fn issuer(&self) -> String {
        self.state().issuer.clone()
    }

    pub(super) fn set_person(&self, person: Person) {
        self.state().person = person;
    }

    pub(super) fn person(&self) -> Person {
        self.state().person.clone()
    }

    pub(super) fn set_now(&self, now: Option<i64>) {
        self.state().now = now;
    }

    pub(super) fn now(&self) -> i64 {
        self.state().now.unwrap_or_else(clock::now)
    }

    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        self.fault.send_replace(fault);
    }

    /// How to misbehave now; waits while the provider hangs.
    pub(super) async fn fault(&self) -> Option<Fault> {
        let mut faults = self.fault.subscribe();
        let fault = faults.wait_for(|fault| *fault != Some(Fault::Hang)).await;
        // The sender lives as long as `self`, so the wait cannot fail.
        fault.ok().and_then(|fault| *fault)
    }

    pub(super) fn issue_code(&self, grant: Grant) -> String {
        let code = unique("code_");
        self.state().grants.insert(code.clone(), grant);
        code
    }

    pub(super) fn redeem(&self, code: &str) -> Option<Grant> {
        let mut state = self.state();
        state.token_requests += 1;
        state.grants.remove(code)
    }

    pub(super) fn token_requests(&self) -> usize {
        self.state().token_requests
    }

    pub(super) fn issue_token(&self, person: Person) -> String {
        let token = unique("access_");
        self.state().tokens.insert(token.clone(), person);
        token
    }

    pub(super) fn holder(&self, token: &str) -> Option<Person> {
        self.state().tokens.get(token).cloned()
    }
}
