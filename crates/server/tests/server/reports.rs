//! What fails in the real program is heard of at Sentry, once, wherever it happens.

use std::sync::{Arc, Mutex};

use axum::{Router, routing::post};
use serde_json::json;
use simulators::ai::Fault;
use testing::TestApp;

use crate::processes::{Process, chat, eventually};

/// A server that takes what is meant for Sentry: its DSN, and the events that have come.
async fn sentry() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dsn = format!("http://key@{}/7", listener.local_addr().unwrap());
    let events = Arc::new(Mutex::new(Vec::new()));
    let kept = events.clone();
    let take = async move |envelope: String| {
        let lines: Vec<&str> = envelope.lines().collect();
        let of_events = lines.windows(2).filter(|it| it[0].contains(r#""type":"event""#));
        kept.lock().unwrap().extend(of_events.map(|it| it[1].to_owned()));
    };
    let router = Router::new().route("/api/7/envelope/", post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (dsn, events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_reported_once_with_its_place_and_without_secrets() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let (dsn, events) = sentry().await;
    let directory = tempfile::tempdir().unwrap();
    let settings = [("SENTRY_DSN", dsn), ("LOG_LEVEL", "info".to_owned())];
    let mut process = Process::with(&app, directory.path(), &settings).await;
    let client = owner.at(&process.url);
    let execute = async |sql: &'static str| {
        sqlx::query(sql).execute(app.db.pool()).await.unwrap();
    };

    // Somebody else is called, and refuses our key.
    app.simulators.ai.next(Fault::Status { status: 401, retry_after: None });
    let mut question = chat(false);
    question["messages"][0]["content"] = "canary".into();
    assert_eq!(client.post("/v1/chat/completions", question).await.status, 503);
    // An upload, and a request of another kind, meet a bug.
    execute("alter table uploads rename to uploads_away").await;
    execute("alter table projects rename to projects_away").await;
    let file = json!({ "name": "canary.txt", "content_type": "text/plain", "bytes": 5 });
    assert_eq!(client.post("/v1/uploads", file).await.status, 500);
    assert_eq!(client.get("/v1/projects").await.status, 500);
    // A job is out of attempts.
    execute("select from graphile_worker.add_job('auth.purge_sessions', '{\"canary\": 1}', max_attempts := 1)").await;

    let places = [
        ("refuses one of its keys", "openai"),
        ("request failed", "/v1/uploads"),
        ("request failed", "/v1/projects"),
        ("job failed for good", "auth.purge_sessions"),
    ];
    let heard = |(what, place): (&str, &str)| {
        let events = events.lock().unwrap();
        events.iter().filter(|it| it.contains(what) && it.contains(place)).count()
    };
    eventually("all are reported", async || places.iter().all(|it| heard(*it) > 0)).await;
    // What is not sent yet is sent before the end.
    process.signal("-TERM");
    assert!(process.child.wait().await.unwrap().success());
    for place in places {
        assert_eq!(heard(place), 1, "{place:?}: {:#?}", events.lock().unwrap());
    }
    let count = events.lock().unwrap().len();
    assert_eq!(count, places.len(), "nothing else: {:#?}", events.lock().unwrap());
    let all = events.lock().unwrap().concat();
    let token = owner.token.as_ref().unwrap();
    for secret in ["canary", &owner.email, token, "whsec_simulator"] {
        assert!(!all.contains(secret), "{secret} is in {all}");
    }
    assert!(all.contains(&owner.user().to_string()), "whose it was");
}
