//! A deploy that nobody notices: the old and the new program side by side, under load, as a platform replaces them.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures::future::join_all;
use reqwest::{Client as Http, Method};
use serde_json::json;
use testing::{Client, TestApp};

use crate::processes::{Process, chat, eventually};

/// Far longer than the balancer takes to notice.
const DRAIN: &str = "10";
const CLIENTS: usize = 6;

/// What stands before the instances: it sends requests to those that say they are ready.
#[derive(Default)]
struct Balancer {
    instances: Mutex<Vec<String>>,
    ready: Mutex<Vec<String>>,
    next: AtomicUsize,
}

impl Balancer {
    fn add(&self, url: &str) {
        self.instances.lock().unwrap().push(url.to_owned());
    }

    /// Looks at every instance, as platforms do every few seconds.
    async fn look(&self) {
        let http = Http::new();
        let instances = self.instances.lock().unwrap().clone();
        let mut ready = Vec::new();
        for url in instances {
            let answer = http.get(format!("{url}/health/ready")).send().await;
            ready.extend(answer.is_ok_and(|it| it.status() == 200).then_some(url));
        }
        *self.ready.lock().unwrap() = ready;
    }

    fn is_ready(&self, url: &str) -> bool {
        self.ready.lock().unwrap().iter().any(|it| it == url)
    }

    fn pick(&self) -> String {
        let ready = self.ready.lock().unwrap();
        ready[self.next.fetch_add(1, SeqCst) % ready.len()].clone()
    }
}

/// Calls of one customer, one after the other, until they are told to stop; what failed.
async fn customer(
    owner: Client,
    balancer: Arc<Balancer>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut failed = Vec::new();
    let mut turn = 0;
    while !stop.load(SeqCst) {
        turn += 1;
        let client = owner.at(&balancer.pick());
        let request = match turn % 4 {
            0 => client.request(Method::POST, "/v1/chat/completions").json(&chat(true)),
            1 => client.request(Method::POST, "/v1/chat/completions").json(&chat(false)),
            2 => client
                .request(Method::POST, "/v1/projects")
                .json(&json!({ "name": format!("Apollo {turn}") })),
            _ => client.request(Method::GET, "/v1/projects"),
        };
        match request.send().await {
            Ok(answer) if answer.status().is_success() => {
                if let Err(error) = answer.bytes().await {
                    failed.push(format!("{turn}: cut off: {error}"));
                }
            }
            Ok(answer) => failed.push(format!(
                "{turn}: {}: {}",
                answer.status(),
                answer.text().await.unwrap_or_default()
            )),
            Err(error) => failed.push(format!("{turn}: {error:?}")),
        }
        done.fetch_add(1, SeqCst);
    }
    failed
}

/// People who sign up meanwhile: each must get one mail, whichever program sends it.
async fn sign_up(app: &TestApp, balancer: &Balancer, stop: &AtomicBool) -> Vec<String> {
    let mut people = Vec::new();
    while !stop.load(SeqCst) || people.len() <= 10 {
        let email = format!("rolling-{}@example.com", people.len());
        let account = json!({ "email": email, "password": testing::PASSWORD, "name": "Ada" });
        let answer = app.anonymous().at(&balancer.pick()).post("/v1/users", account).await;
        assert!((200..300).contains(&answer.status.as_u16()), "{}: {email}", answer.status);
        people.push(email);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    people
}

async fn more_calls(done: &AtomicUsize, count: usize) {
    let enough = done.load(SeqCst) + count;
    eventually("calls go on", async || done.load(SeqCst) >= enough).await;
}

async fn start(app: &TestApp, directory: &Path) -> Process {
    Process::with(app, directory, &[("DRAIN_SECONDS", DRAIN.to_owned())]).await
}

/// What the next release's migration does first: it only adds, so that the release before goes on.
async fn expand(app: &TestApp) {
    let expand = "alter table projects add column colour text not null default 'blue';
                  insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                  values (29990101, 'colours', true, '\\x00', 1)";
    sqlx::raw_sql(expand).execute(app.db.pool()).await.unwrap();
}

/// Fault 26, in both directions: forward, and back to the release before on the newer schema.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_deploy_fails_no_request_and_sends_every_mail_once() {
    let app = TestApp::live().await;
    let directory = tempfile::tempdir().unwrap();
    let operator = app.operator().await;
    let mut owners = Vec::new();
    for _ in 0..CLIENTS {
        let owner = app.owner().await;
        let gift = json!({ "credits": 100_000, "reason": "load", "reference": owner.org() });
        operator.post(&format!("/admin/v1/orgs/{}/grants", owner.org()), gift).await.ok();
        owners.push(owner);
    }
    let balancer = Arc::new(Balancer::default());
    let mut old = start(&app, directory.path()).await;
    balancer.add(&old.url);
    balancer.look().await;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let calls = owners
        .into_iter()
        .map(|owner| tokio::spawn(customer(owner, balancer.clone(), stop.clone(), done.clone())));
    let calls = join_all(calls.collect::<Vec<_>>());
    let deploys = async {
        for _ in 0..2 {
            more_calls(&done, 40).await;
            expand_once(&app).await;
            let new = start(&app, directory.path()).await;
            balancer.add(&new.url);
            eventually("the new one is ready", async || {
                balancer.look().await;
                balancer.is_ready(&new.url)
            })
            .await;
            more_calls(&done, 40).await;
            old.signal("-TERM");
            eventually("the old one takes no more", async || {
                balancer.look().await;
                !balancer.is_ready(&old.url)
            })
            .await;
            assert!(old.child.wait().await.unwrap().success(), "it ends by itself");
            old = new;
        }
        more_calls(&done, 40).await;
        stop.store(true, SeqCst);
    };
    let (failed, people, ()) = tokio::join!(calls, sign_up(&app, &balancer, &stop), deploys);
    let failed: Vec<String> = failed.into_iter().flat_map(Result::unwrap).collect();
    let first = &failed[..failed.len().min(5)];
    assert!(first.is_empty(), "{} of {} failed: {first:#?}", failed.len(), done.load(SeqCst));

    let mails = |email: &str| app.simulators.mailbox.messages_to(email).len();
    eventually("everybody has mail", async || people.iter().all(|it| mails(it) > 0)).await;
    let twice: Vec<_> = people.iter().filter(|it| mails(it) > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    eventually("calls are settled", async || crate::kills::count(&app, "holds").await == 0).await;
    app.assert_books_balance().await;
}

async fn expand_once(app: &TestApp) {
    if crate::kills::count(app, "_sqlx_migrations where version = 29990101").await == 0 {
        expand(app).await;
    }
}
