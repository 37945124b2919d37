//! Security case 113: what people send in confidence is in no log, no metric, no job and no mail's error.

use std::{fs, net::TcpListener};

use reqwest::Method;
use serde_json::{Value, json};
use simulators::ai::Fault;
use testing::{Client, TestApp};

use crate::{
    kills::count,
    processes::{Process, chat, eventually},
};

/// Requests that carry the word, one in each place where secrets are.
async fn send_canaries(anybody: &Client, owner: &Client) {
    let register =
        json!({ "email": "ada@example.com", "password": "canary long enough", "name": "Ada" });
    anybody.post("/v1/users", register).await.ok();
    let wrong = json!({ "email": "ada@example.com", "password": "canary, and wrong" });
    anybody.post("/v1/sessions", wrong).await.problem();
    let keys =
        ["canary", "canary.canary.canary", "slop_canaryCANARYcanaryCANARYcanaryCANARYcanary1"];
    for key in keys {
        anybody.with_key(key).get("/v1/me").await.problem();
        anybody.header("x-api-key", key).get("/v1/me").await.problem();
    }
    for cookie in ["__Host-access=canary", "__Host-refresh=canary"] {
        anybody.header("cookie", cookie).get("/v1/me").await.problem();
    }
    anybody.get("/v1/email-verifications/canary").await;
    anybody.get("/v1/password-resets/canary").await;
    let new = json!({ "password": "canary long enough" });
    anybody.post("/v1/password-resets/canary", new).await.problem();
    anybody
        .post("/v1/sessions", json!({ "password": { "canary": 4_242_424_242_424_242_i64 } }))
        .await;
    let broken = anybody.request(Method::POST, "/v1/sessions").body(r#"{"password": "canary"#);
    broken.header("content-type", "application/json").send().await.unwrap();
    owner.get("/v1/projects?cursor=canary").await;
    owner.get("/no/such/canary?token=canary").await.problem();
    let mut prompt: Value = chat(false);
    prompt["messages"][0]["content"] = json!("canary 4242 4242 4242 4242");
    owner.post("/v1/chat/completions", prompt).await.problem();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_send_in_confidence_is_in_no_log_no_metric_no_job_and_no_error_of_a_mail() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let directory = tempfile::tempdir().unwrap();
    let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut process = Process::logging(&app, directory.path(), &metrics).await;
    let (anybody, owner) = (app.anonymous().at(&process.url), owner.at(&process.url));
    app.simulators.ai.next(Fault::Status { status: 400, retry_after: None });
    app.simulators.mailbox.next(simulators::mailbox::Fault::Refuse);

    send_canaries(&anybody, &owner).await;
    eventually("the mail is refused", async || {
        count(&app, "emails where status = 'dead'").await == 1
    })
    .await;

    let counted = reqwest::get(format!("http://{metrics}/metrics")).await.unwrap();
    let counted = counted.text().await.unwrap();
    for name in ["ai_calls_total{", "ai_call_duration_seconds_", "db_statement_duration_seconds_"] {
        assert!(counted.contains(name), "{name} is missing in {counted}");
    }
    process.signal("-TERM");
    assert!(process.child.wait().await.unwrap().success());
    let log = fs::read_to_string(directory.path().join("log")).unwrap();
    assert!(log.contains("a mail was refused for good"), "it is the log: {log}");
    let kept = "select payload::text from graphile_worker._private_jobs
                union all select last_error from graphile_worker._private_jobs
                union all select concat(subject, error) from emails
                union all select a::text from audit_events a
                union all select s::text from sessions s
                union all select u::text from usage_records u";
    let kept: Vec<Option<String>> =
        sqlx::query_scalar(kept).fetch_all(app.db.pool()).await.unwrap();
    let kept = kept.into_iter().flatten().collect::<Vec<_>>().join("\n");
    for (place, text) in [("log", log), ("metrics", counted), ("database", kept)] {
        let found = text.lines().find(|it| {
            let line = it.to_lowercase();
            line.contains("canary")
                || line.contains("4242424242424242")
                || line.contains("4242 4242")
        });
        assert_eq!(found, None, "{place}");
    }
}
