use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    time::Duration,
};

use axum::{
    Json,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use super::{
    Fault, Usage, Whom,
    batches::Lane,
    error::{ApiError, Refusal},
};

const REMEMBERED: usize = 100;

/// What a provider offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/messages`
    Messages,
    /// `/v1/embeddings`
    Embeddings,
    /// `/v1/images/generations`
    Images,
    /// `/v1/moderations`
    Moderations,
    /// `/v1/models` and below, which cost nothing: never held, never faulty.
    Models,
    /// `/v1/files` and below.
    Files,
    /// `/v1/batches` and below.
    Batches,
}

/// A call as it arrived.
#[derive(Debug, Clone, Serialize)]
pub struct ReceivedCall {
    /// Where it arrived.
    pub endpoint: Endpoint,
    /// The key it came with, if any.
    pub key: Option<String>,
    /// The JSON body, or null.
    pub body: Value,
}

/// Everything there is to assert on.
#[derive(Debug, Clone, Default, Serialize)]
pub struct State {
    /// Calls by endpoint, refused ones included.
    pub arrived: BTreeMap<Endpoint, usize>,
    /// Generations that arrived and are not answered to the end.
    pub in_flight: usize,
    /// The most that were ever in flight at once.
    pub max_in_flight: usize,
    /// Calls whose client went away before the end of the answer.
    pub disconnects: usize,
    /// Whether calls wait for a release.
    pub held: bool,
    /// Faults no call has met yet.
    pub faults: VecDeque<Fault>,
    /// Faults that every such call meets.
    pub lasting: Vec<(Whom, Fault)>,
    /// The last hundred calls, oldest first.
    pub calls: VecDeque<ReceivedCall>,
    /// Files and batches.
    #[serde(skip)]
    pub(super) lane: Lane,
    #[serde(skip)]
    releases: u64,
    /// Prompts that Anthropic's side has cached.
    #[serde(skip)]
    prompts: HashSet<String>,
}

impl State {
    fn record(&mut self, call: ReceivedCall) {
        *self.arrived.entry(call.endpoint).or_default() += 1;
        if self.calls.len() == REMEMBERED {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    /// How many calls arrived at `endpoint`.
    pub fn arrived(&self, endpoint: Endpoint) -> usize {
        self.arrived.get(&endpoint).copied().unwrap_or_default()
    }

    /// How many calls arrived that a provider would bill.
    pub fn generations(&self) -> usize {
        [Endpoint::Chat, Endpoint::Messages, Endpoint::Embeddings, Endpoint::Images]
            .map(|e| self.arrived(e))
            .iter()
            .sum()
    }
}

/// The switchboard every call passes.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls(watch::Sender<State>);

impl Calls {
    pub(super) fn state(&self) -> State {
        self.0.borrow().clone()
    }

    /// Caches a prompt; whether it was cached before.
    pub(super) fn remember(&self, prompt: String) -> bool {
        let mut known = false;
        self.0.send_modify(|state| known = !state.prompts.insert(prompt));
        known
    }

    /// Looks at files and batches, or changes them.
    pub(super) fn lane<T>(&self, change: impl FnOnce(&mut Lane) -> T) -> T {
        let mut result = None;
        self.0.send_modify(|state| result = Some(change(&mut state.lane)));
        result.expect("it was called")
    }

    /// Registers a request for a file or a batch, which waits while calls are held if it is to `wait`;
    /// answers the key.
    pub(super) async fn visit(
        &self,
        endpoint: Endpoint,
        headers: &HeaderMap,
        waits: bool,
    ) -> Result<String, Refusal> {
        let key = key_of(headers);
        let seen = self.state();
        let call = ReceivedCall { endpoint, key: key.clone(), body: Value::Null };
        self.0.send_modify(|state| state.record(call));
        if seen.held && waits {
            self.wait_until(|state| state.releases > seen.releases).await;
        }
        if self.lane(|lane| lane.is_missing) {
            return Err(ApiError::no_batches().into());
        }
        Ok(key.ok_or_else(ApiError::unauthenticated)?)
    }

    pub(super) fn queue(&self, n: usize, fault: Fault) {
        self.0.send_modify(|state| state.faults.extend(std::iter::repeat_n(fault, n)));
    }

    pub(super) fn always(&self, whom: Whom, fault: Fault) {
        self.0.send_modify(|state| state.lasting.push((whom, fault)));
    }

    pub(super) fn recover(&self) {
        self.0.send_modify(|state| {
            state.faults.clear();
            state.lasting.clear();
        });
    }

    pub(super) fn hold(&self) {
        self.0.send_modify(|state| state.held = true);
    }

    pub(super) fn release(&self) {
        self.0.send_modify(|state| {
            state.held = false;
            state.releases += 1;
        });
    }

    pub(super) async fn wait_until(&self, condition: impl FnMut(&State) -> bool) {
        // The sender lives as long as `self`, so the wait cannot fail.
        let _ = self.0.subscribe().wait_for(condition).await;
    }

    /// Registers a call and takes it to the point where its answer is due.
    pub(super) async fn enter(
        &self,
        endpoint: Endpoint,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(Call, Value), Refusal> {
        let key = key_of(headers);
        let body = serde_json::from_slice(body).unwrap_or(Value::Null);
        let mut call = self.arrive(ReceivedCall { endpoint, key: key.clone(), body: body.clone() });
        if call.held {
            call.released().await;
        }
        match call.fault {
            Some(Fault::Status { status, retry_after }) => {
                return Err(ApiError::trouble(status, retry_after).into());
            }
            Some(Fault::UsedUp) => return Err(ApiError::used_up().into()),
            Some(Fault::Reset) => return Err(Refusal::Reset),
            Some(Fault::Hang) => call.released().await,
            _ => {}
        }
        key.ok_or_else(ApiError::unauthenticated)?;
        Ok((call, body))
    }

    /// Registers a look at the models.
    pub(super) fn look(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let key = key_of(headers);
        let call = ReceivedCall { endpoint: Endpoint::Models, key: key.clone(), body: Value::Null };
        self.0.send_modify(|state| state.record(call));
        key.map(drop).ok_or_else(ApiError::unauthenticated)
    }

    fn arrive(&self, received: ReceivedCall) -> Call {
        let mut call =
            Call { calls: self.clone(), fault: None, held: false, releases: 0, abandoned: false };
        self.0.send_modify(|state| {
            let lasting = state.lasting.iter().find(|(whom, _)| whom.made(&received));
            call.fault = lasting.map(|(_, fault)| fault.clone());
            state.record(received);
            state.in_flight += 1;
            state.max_in_flight = state.max_in_flight.max(state.in_flight);
            call.fault = call.fault.take().or_else(|| state.faults.pop_front());
            call.held = state.held;
            call.releases = state.releases;
        });
        call
    }
}

/// As OpenAI's clients send it, or Anthropic's.
fn key_of(headers: &HeaderMap) -> Option<String> {
    let key = match headers.get("x-api-key") {
        Some(key) => key.to_str().ok()?,
        None => headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?.trim(),
    };
    (!key.is_empty()).then(|| key.to_owned())
}

/// A call in flight, until it is dropped.
#[derive(Debug)]
pub(super) struct Call {
    calls: Calls,
    pub(super) fault: Option<Fault>,
    held: bool,
    /// The releases that happened before this call waited: a later one is meant for it.
    releases: u64,
    pub(super) abandoned: bool,
}

impl Call {
    /// Waits for the next release.
    pub(super) async fn released(&mut self) {
        let (calls, seen) = (self.calls.clone(), self.releases);
        self.wait(calls.wait_until(|state| state.releases > seen)).await;
        self.releases += 1;
    }

    async fn wait(&mut self, awaited: impl Future<Output = ()>) {
        // A client that goes away drops this future, and then the call with the mark on it.
        self.abandoned = true;
        awaited.await;
        self.abandoned = false;
    }

    /// The usage to report, if any.
    pub(super) fn usage(&self, honest: Usage) -> Option<Usage> {
        match self.fault {
            Some(Fault::NoUsage) => None,
            Some(Fault::Usage(claimed)) => Some(claimed),
            _ => Some(honest),
        }
    }

    /// Answers in one piece.
    pub(super) async fn answer(mut self, body: &Value) -> Result<Response, Refusal> {
        match self.fault {
            Some(Fault::CutAfter { .. }) => return Err(Refusal::Reset),
            Some(Fault::HangAfter { .. }) => self.released().await,
            Some(Fault::Slow { millis_per_chunk }) => {
                self.wait(tokio::time::sleep(Duration::from_millis(millis_per_chunk))).await;
            }
            Some(Fault::MalformedAfter { .. }) => {
                let mut text = body.to_string();
                text.pop();
                return Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response());
            }
            _ => {}
        }
        Ok(Json(body).into_response())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.calls.0.send_modify(|state| {
            state.in_flight -= 1;
            state.disconnects += usize::from(self.abandoned);
        });
    }
}
