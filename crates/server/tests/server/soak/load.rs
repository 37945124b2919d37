use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use simulators::stripe::Card;
use testing::{PATIENCE, Reply};
use tokio::task::JoinHandle;

use super::World;
use crate::processes::chat;

/// The pace of those who do one thing after the other.
const PAUSE: Duration = Duration::from_millis(100);

/// What the product has said yes to.
#[derive(Debug)]
pub(super) struct Accepted {
    /// Names of projects.
    pub(super) projects: Vec<String>,
    /// Where calls are that nobody waits for, as far as it was told.
    pub(super) generations: Vec<Option<String>>,
    /// Checkouts that were paid.
    pub(super) purchases: HashSet<String>,
    /// Calls that were answered to the last byte.
    pub(super) answers: i64,
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (projects, generations) = (self.projects.len(), self.generations.len());
        let (purchases, answers) = (self.purchases.len(), self.answers);
        write!(
            f,
            "{projects} projects, {generations} generations, {purchases} purchases, {answers} answers"
        )
    }
}

/// Those who use the product.
pub(super) struct Load {
    projects: JoinHandle<Vec<String>>,
    generations: JoinHandle<Vec<Option<String>>>,
    purchases: JoinHandle<HashSet<String>>,
    answers: Vec<JoinHandle<i64>>,
}

pub(super) fn begin(world: &Arc<World>) -> Load {
    Load {
        projects: tokio::spawn(make_projects(Arc::clone(world))),
        generations: tokio::spawn(ask_for_generations(Arc::clone(world))),
        purchases: tokio::spawn(buy(Arc::clone(world))),
        answers: (0..4).map(|n| tokio::spawn(call(Arc::clone(world), n))).collect(),
    }
}

impl Load {
    /// Waits until everybody has heard what became of what they asked for.
    pub(super) async fn end(self) -> Accepted {
        let mut answers = 0;
        for caller in self.answers {
            answers += caller.await.unwrap();
        }
        Accepted {
            projects: self.projects.await.unwrap(),
            generations: self.generations.await.unwrap(),
            purchases: self.purchases.await.unwrap(),
            answers,
        }
    }
}

impl World {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Relaxed)
    }

    /// Posts until the product says yes, each time with the same key and to the next instance. `None`: it was done,
    /// but whoever did it died before the answer was kept.
    async fn insist(
        &self,
        path: &str,
        key: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Option<Reply> {
        let begun = Instant::now();
        for turn in 0.. {
            let mut client = self.client(turn).header("idempotency-key", key);
            for (name, value) in headers {
                client = client.header(name, value);
            }
            let sent = client.request(Method::POST, path).json(body).send().await;
            let refused = match sent {
                Ok(response) if response.status().is_success() => {
                    return Some(Reply::read(response).await);
                }
                Ok(response) => Reply::read(response).await.text,
                Err(error) => error.to_string(),
            };
            if refused.contains("idempotency_answer_lost") {
                return None;
            }
            assert!(begun.elapsed() < PATIENCE, "{path} is never accepted: {refused}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        unreachable!("it never stops by itself")
    }
}

async fn make_projects(world: Arc<World>) -> Vec<String> {
    let mut names = Vec::new();
    while world.goes_on() {
        let name = format!("Project {}", names.len());
        // Who is not answered looks whether it is there: it must be.
        world.insist("/v1/projects", &name, &[], &json!({ "name": name })).await;
        names.push(name);
        tokio::time::sleep(PAUSE).await;
    }
    names
}

async fn ask_for_generations(world: Arc<World>) -> Vec<Option<String>> {
    let mut places = Vec::new();
    while world.goes_on() {
        let key = format!("generation {}", places.len());
        let later = [("prefer", "respond-async")];
        let reply = world.insist("/v1/chat/completions", &key, &later, &chat(false)).await;
        let place = |it: Reply| it.header("location").expect("a place to look at").to_owned();
        places.push(reply.map(place));
        tokio::time::sleep(PAUSE).await;
    }
    places
}

async fn buy(world: Arc<World>) -> HashSet<String> {
    // Who asks twice before the first is booked is sent to the same page.
    let mut paid = HashSet::new();
    for turn in 0.. {
        if !world.goes_on() {
            break;
        }
        let (path, key) = ("/v1/billing/checkout-sessions", format!("purchase {turn}"));
        let reply = world.insist(path, &key, &[], &json!({ "item": "pack-10" })).await;
        if let Some(checkout) = reply.map(Reply::ok) {
            let url = checkout["url"].as_str().unwrap();
            let session = url.rsplit('/').next().unwrap().to_owned();
            if !paid.contains(&session) {
                world.app.simulators.stripe.pay(&session, Card::Accepted).unwrap();
                paid.insert(session);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    paid
}

/// Calls without a key: whoever gets no answer has to live with that.
async fn call(world: Arc<World>, caller: usize) -> i64 {
    let mut answered = 0;
    while world.goes_on() {
        let client = world.client(caller);
        let request = client.request(Method::POST, "/v1/chat/completions");
        if let Ok(answer) = request.json(&chat(caller.is_multiple_of(2))).send().await {
            let is_success = answer.status().is_success();
            answered += i64::from(answer.bytes().await.is_ok() && is_success);
        } else {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    answered
}
