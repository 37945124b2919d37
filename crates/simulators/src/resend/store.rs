use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use super::Fault;
use crate::clock::now;

/// How long a key is remembered.
const DAY: i64 = 24 * 3600;

/// A mail that was taken.
#[derive(Clone, Debug, Serialize)]
pub struct Mail {
    /// What Resend calls it.
    pub id: String,
    /// What it was asked to send.
    #[serde(flatten)]
    pub request: Request,
}

/// A mail to be sent, as the API takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Who it comes from.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// The subject line.
    pub subject: String,
    /// The body as HTML.
    #[serde(default)]
    pub html: Option<String>,
    /// The body as text.
    #[serde(default)]
    pub text: Option<String>,
    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Names and values that come back with everything told about the mail.
    #[serde(default)]
    pub tags: Vec<Tag>,
}

/// A name and a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// What is known of a key: what was asked with it first, and since when.
#[derive(Debug, Clone)]
struct Keyed {
    asked: Value,
    mail: String,
    at: i64,
}

/// What a key says about a request.
pub(super) enum Known {
    New,
    /// It was done before, as this mail.
    Done(String),
    /// It was another request then.
    Other,
}

#[derive(Debug, Default)]
struct State {
    mails: Vec<Mail>,
    keyed: HashMap<String, Keyed>,
    keys: Vec<String>,
    requests: usize,
    faults: VecDeque<Fault>,
    releases: u64,
}

/// Everything that the API remembers.
#[derive(Debug, Clone, Default)]
pub(super) struct Store(Arc<watch::Sender<State>>);

impl Store {
    pub(super) fn mails(&self) -> Vec<Mail> {
        self.0.borrow().mails.clone()
    }

    pub(super) fn mail(&self, id: &str) -> Option<Mail> {
        self.0.borrow().mails.iter().find(|mail| mail.id == id).cloned()
    }

    pub(super) fn requests(&self) -> usize {
        self.0.borrow().requests
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.0.borrow().keys.clone()
    }

    pub(super) fn misbehave(&self, n: usize, fault: Fault) {
        self.0.send_modify(|state| state.faults.extend(std::iter::repeat_n(fault, n)));
    }

    pub(super) fn release(&self) {
        self.0.send_modify(|state| state.releases += 1);
    }

    /// Counts a request, and tells the fault it is to meet.
    pub(super) fn arrive(&self, key: Option<&str>) -> Option<Fault> {
        let mut fault = None;
        self.0.send_modify(|state| {
            state.requests += 1;
            state.keys.extend(key.map(str::to_owned));
            fault = state.faults.pop_front();
        });
        fault
    }

    pub(super) async fn released(&self) {
        let seen = self.0.borrow().releases;
        // The sender lives as long as `self`, so the wait cannot fail.
        let _ = self.0.subscribe().wait_for(|state| state.releases > seen).await;
    }

    pub(super) fn known(&self, key: &str, asked: &Value) -> Known {
        match self.0.borrow().keyed.get(key).filter(|known| known.at + DAY > now()) {
            None => Known::New,
            Some(known) if known.asked == *asked => Known::Done(known.mail.clone()),
            Some(_) => Known::Other,
        }
    }

    /// Takes a mail; a key is bound to it in the same moment.
    pub(super) fn take(&self, key: Option<&str>, asked: Value, request: Request) -> String {
        let id = uuid_like();
        self.0.send_modify(|state| {
            if let Some(key) = key {
                let keyed = Keyed { asked, mail: id.clone(), at: now() };
                state.keyed.insert(key.to_owned(), keyed);
            }
            state.mails.push(Mail { id: id.clone(), request });
        });
        id
    }
}

fn uuid_like() -> String {
    let hex = hex::encode(rand::random::<[u8; 16]>());
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
