//! Reports of errors in clients, through the API of the whole product.

use std::{
    fmt::Write,
    sync::{Arc, Mutex},
};

use serde_json::json;
use testing::TestApp;
use tracing::{Event, Subscriber, field::Field, subscriber::set_default};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry,
};

/// The fields of what was logged about clients.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !event.metadata().target().starts_with("client_errors") {
            return;
        }
        let mut line = String::new();
        event.record(&mut |field: &Field, value: &dyn std::fmt::Debug| {
            write!(line, "{field}={value:?} ").unwrap();
        });
        self.0.lock().unwrap().push(line);
    }
}

#[tokio::test]
async fn an_error_of_a_client_is_logged_without_what_may_be_a_secret_of_its_page() {
    let app = TestApp::start().await;
    let lines = Lines::default();
    let _log = set_default(registry().with(lines.clone()));
    let error = json!({
        "message": "x is undefined for canary@example.com",
        "stack": "at list (app.js:7)\nat https://app.example.com/reset?token=canary:10:5",
        "url": "https://app.example.com/canary@example.com/reset?token=canary#canary",
        "release": "web@2",
        "request_id": "r-17",
    });
    assert_eq!(app.anonymous().post("/v1/client-errors", error).await.status, 202);

    let [line] = lines.0.lock().unwrap().clone().try_into().unwrap();
    for part in ["in a client: x is undefined", "app.js:7", "page=\"[redacted]", "web@2", "r-17"] {
        assert!(line.contains(part), "{part} is missing in {line}");
    }
    assert!(!line.contains("canary"), "{line}");
}

#[tokio::test]
async fn what_is_no_report_is_refused_by_name_of_the_field() {
    let app = TestApp::start().await;
    for (field, error) in [
        ("/message", json!({ "message": " " })),
        ("/message", json!({ "message": "x".repeat(1001) })),
        ("/stack", json!({ "message": "x", "stack": "é".repeat(10_001) })),
        ("/url", json!({ "message": "x", "url": "x".repeat(2001) })),
    ] {
        let refused = app.anonymous().post("/v1/client-errors", error).await;
        assert_eq!(refused.body["errors"][0]["pointer"], field, "{refused:?}");
    }
    let unknown = json!({ "message": "x", "user": "somebody else" });
    assert_eq!(app.anonymous().post("/v1/client-errors", unknown).await.status, 422);
}

#[tokio::test]
async fn a_client_in_a_loop_is_stopped_and_can_still_sign_in() {
    let app = TestApp::start_with(|all| all.rate_limit.rate_limits = rate_limit::Switch::On).await;
    let mut answers = vec![];
    for _ in 0..12 {
        let again = json!({ "message": "again" });
        let reply = app.anonymous().post("/v1/client-errors", again).await;
        answers.push(reply.status.as_u16());
    }
    assert!(answers.contains(&429), "{answers:?}");
    let session = json!({ "email": "nobody@example.com", "password": "not the right one" });
    assert_eq!(app.anonymous().post("/v1/sessions", session).await.status, 401);
}
