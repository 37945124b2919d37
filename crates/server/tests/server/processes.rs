//! The real program as a process of its own, ended the hard way.

use std::{fs::File, path::Path, process::Stdio, time::Duration};

use secrecy::ExposeSecret;
use serde_json::json;
pub(crate) use testing::eventually;
use testing::{Client, TestApp, in_time};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

/// `slipway serve`, killed when dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) url: String,
}

impl Process {
    /// Starts it in `directory` and waits until it says where it listens.
    async fn start(directory: &Path, environment: &[(&str, String)]) -> Self {
        Self::start_with_log(directory, environment, Stdio::inherit()).await
    }

    async fn start_with_log(directory: &Path, environment: &[(&str, String)], log: Stdio) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_slipway"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", directory)
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .current_dir(directory)
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = in_time("it says where it listens", async {
            loop {
                let line = lines.next_line().await.unwrap().expect("it starts");
                // A worker has no API.
                let shown = ["API", "Health"].iter().find_map(|it| line.trim().strip_prefix(it));
                if let Some(url) = shown {
                    break url.trim().to_owned();
                }
            }
        });
        let url = url.await;
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, url }
    }

    /// One over the database and the simulators of `app`.
    pub(crate) async fn beside(app: &TestApp, directory: &Path) -> Self {
        Self::with(app, directory, &[]).await
    }

    /// The same with settings of the test's own.
    pub(crate) async fn with(app: &TestApp, directory: &Path, more: &[(&str, String)]) -> Self {
        Self::start(directory, &[environment(app).as_slice(), more].concat()).await
    }

    /// One that says as much as it can, into the file `log` of its directory, and shows its metrics.
    pub(crate) async fn logging(app: &TestApp, directory: &Path, metrics: &str) -> Self {
        let log = File::create(directory.join("log")).unwrap();
        let more = [
            ("LOG_LEVEL", "debug".to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
            ("METRICS_ADDR", metrics.to_owned()),
        ];
        let environment = [environment(app).as_slice(), &more].concat();
        Self::start_with_log(directory, &environment, log.into()).await
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
    }
}

/// The settings of a program over the database and the simulators of `app`.
fn environment(app: &TestApp) -> [(&'static str, String); 14] {
    let settings = &app.settings;
    let secret = |secret: &Option<secrecy::SecretString>| {
        secret.as_ref().unwrap().expose_secret().to_owned()
    };
    [
        ("PORT", "0".to_owned()),
        ("APP_URL", app.url.clone()),
        ("DATABASE_URL", app.database_url()),
        ("AUTH_SECRET", secret(&settings.auth.auth_secret)),
        ("OPENAI_API_KEY", secret(&settings.ai.openai_api_key)),
        ("OPENAI_BASE_URL", settings.ai.openai_base_url.clone()),
        ("STRIPE_SECRET_KEY", secret(&settings.billing.stripe_secret_key)),
        ("STRIPE_WEBHOOK_SECRET", secret(&settings.billing.stripe_webhook_secret)),
        ("STRIPE_BASE_URL", settings.billing.stripe_base_url.as_ref().unwrap().to_string()),
        ("SMTP_URL", secret(&settings.email.smtp_url)),
        ("RATE_LIMITS", "off".to_owned()),
        ("AI_HOLD_SECONDS", "4".to_owned()),
        // A busy machine is no outage.
        ("DATABASE_ACQUIRE_TIMEOUT_MS", "60000".to_owned()),
        ("LOG_LEVEL", "error".to_owned()),
    ]
}

pub(crate) fn chat(stream: bool) -> serde_json::Value {
    json!({
        "model": "gpt-4o-mini",
        "messages": [{ "role": "user", "content": "hello" }],
        "max_tokens": 10,
        "stream": stream,
    })
}

async fn left_today(client: &Client) -> i64 {
    let quotas = client.get("/v1/quotas").await.ok();
    let day = quotas["budgets"].as_array().unwrap().iter().find(|it| it["period"] == "day");
    day.unwrap()["remaining"].as_i64().unwrap()
}

pub(crate) async fn calls_arrive(app: &TestApp, count: usize) {
    in_time("the calls reach the provider", app.simulators.ai.wait_for_calls(count)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_reserving_and_settling_charges_nobody_and_loses_nothing() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::beside(&app, directory.path()).await;
    app.simulators.ai.hold();
    for n in 0..5 {
        let client = owner.at(&process.url);
        tokio::spawn(async move {
            let call = client.request(reqwest::Method::POST, "/v1/chat/completions");
            // The connection dies with the process.
            call.json(&chat(n % 2 == 0)).send().await.ok();
        });
    }
    calls_arrive(&app, 5).await;

    process.signal("-KILL");
    process.child.wait().await.unwrap();
    app.simulators.ai.release();
    assert_eq!(left_today(&owner).await, 0, "the holds are still there");
    eventually("the holds expire", async || {
        let alive: i64 = sqlx::query_scalar("select count(*) from holds where expires_at > now()")
            .fetch_one(app.db.pool())
            .await
            .unwrap();
        alive == 0
    })
    .await;
    let process = Process::beside(&app, directory.path()).await;

    let client = owner.at(&process.url);
    assert_eq!(left_today(&client).await, 5, "everything was given back");
    let (calls, unknown, cost): (i64, i64, i64) = sqlx::query_as(
        "select count(*), count(*) filter (where outcome = 'unknown' and paid_by = 'platform'),
                sum(cost_nano_usd)::bigint
         from usage_records",
    )
    .fetch_one(app.db.pool())
    .await
    .unwrap();
    assert_eq!((calls, unknown), (5, 5), "every call has one record");
    let platform: i64 =
        sqlx::query_scalar("select spent from budgets where scope = 'global' and period = 'day'")
            .fetch_one(app.db.pool())
            .await
            .unwrap();
    assert_eq!(platform, cost, "what it may have cost is counted");
    client.post("/v1/chat/completions", chat(false)).await.ok();
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_booked_is_there_after_a_crash() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::beside(&app, directory.path()).await;
    let client = owner.at(&process.url);
    client.post("/v1/chat/completions", chat(false)).await.ok();
    client.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
    eventually("the call is booked", async || {
        owner.get("/v1/usage").await.ok()["total"]["calls"] == 1
    })
    .await;

    process.signal("-KILL");
    process.child.wait().await.unwrap();

    assert_eq!(owner.get("/v1/usage").await.ok()["total"]["calls"], 1);
    assert_eq!(owner.get("/v1/projects").await.ok()["items"][0]["name"], "Apollo");
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_server_finishes_the_calls_in_flight() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::beside(&app, directory.path()).await;
    app.simulators.ai.hold();
    let client = owner.at(&process.url);
    let call = tokio::spawn(async move { client.post("/v1/chat/completions", chat(true)).await });
    calls_arrive(&app, 1).await;

    process.signal("-TERM");
    app.simulators.ai.release();

    let answer = call.await.unwrap().ok_text();
    assert!(answer.ends_with("data: [DONE]\n\n"), "{answer}");
    assert!(process.child.wait().await.unwrap().success());
    assert_eq!(owner.get("/v1/usage").await.ok()["total"]["calls"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_never_finished_do_not_hold_up_the_end() {
    let app = TestApp::live().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::beside(&app, directory.path()).await;
    let address = process.url.trim_start_matches("http://").to_owned();
    let mut silent = tokio::net::TcpStream::connect(&address).await.unwrap();
    let mut halting = tokio::net::TcpStream::connect(&address).await.unwrap();
    halting.write_all(b"GET /v1/plans HTTP/1.1\r\nHost: a\r\nX-Slow").await.unwrap();
    app.anonymous().at(&process.url).get("/health/live").await.ok();

    process.signal("-TERM");

    // Less than the program waits for the rest of a request that goes on.
    let ended = tokio::time::timeout(Duration::from_mins(1), process.child.wait()).await;
    assert!(ended.expect("it does not wait for them").unwrap().success());
    for connection in [&mut silent, &mut halting] {
        assert_eq!(connection.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_leaves_no_process_behind() {
    let directory = tempfile::tempdir().unwrap();
    let environment = [("PORT", "0".to_owned()), ("LOG_LEVEL", "error".to_owned())];
    let mut process = Process::start(directory.path(), &environment).await;
    let pid_file = directory.path().join(".data/postgres/data/postmaster.pid");
    let postgres = std::fs::read_to_string(&pid_file).unwrap();
    let postgres = postgres.lines().next().unwrap().to_owned();
    assert!(is_running(&postgres));

    process.signal("-INT");

    assert!(process.child.wait().await.unwrap().success());
    eventually("Postgres ends", async || !is_running(&postgres)).await;
}

fn is_running(pid: &str) -> bool {
    let asked = std::process::Command::new("ps").args(["-o", "stat=", "-p", pid]).output().unwrap();
    let state = String::from_utf8_lossy(&asked.stdout).into_owned();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}
