//! Many calls at once, by file: each is charged once, whatever happens to the others or to us.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use simulators::ai::Fault;
use testing::{Client, Reply, TestApp};

use crate::{calls::give_credits, provider_calls, usage};

const CHAT: &str = "/v1/chat/completions";

/// A product none of whose providers makes batches of its own.
async fn one_by_one() -> TestApp {
    TestApp::start_with(|settings| settings.ai.openai_batches = false).await
}

pub(crate) fn line(id: &str, model: &str) -> String {
    let body = json!({
        "model": model, "max_tokens": 50,
        "messages": [{ "role": "user", "content": format!("hello {id}") }],
    });
    json!({ "custom_id": id, "method": "POST", "url": CHAT, "body": body }).to_string()
}

pub(crate) fn lines(count: usize) -> String {
    (0..count).map(|n| line(&format!("call-{n}"), "gpt-4o-mini") + "\n").collect()
}

async fn upload(client: &Client, content: &str) -> Reply {
    let body = format!(
        "--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
         --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"calls.jsonl\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n{content}\r\n--x--\r\n"
    );
    let request = client.request(Method::POST, "/v1/files");
    let request = request.header("content-type", "multipart/form-data; boundary=x").body(body);
    Reply::read(request.send().await.unwrap()).await
}

pub(crate) async fn create(client: &Client, content: &str) -> Value {
    let file = upload(client, content).await.ok();
    let batch = json!({
        "input_file_id": file["id"], "endpoint": CHAT, "completion_window": "24h",
        "metadata": { "run": "nightly" },
    });
    client.post("/v1/batches", batch).await.ok()
}

pub(crate) async fn show(client: &Client, batch: &Value) -> Value {
    client.get(&format!("/v1/batches/{}", batch["id"].as_str().unwrap())).await.ok()
}

/// Runs the jobs until the batch has ended.
pub(crate) async fn ended(app: &TestApp, client: &Client, batch: &Value) -> Value {
    testing::eventually("the batch ends", async || {
        app.run_jobs().await;
        let shown = show(client, batch).await;
        !["in_progress", "cancelling"].contains(&shown["status"].as_str().unwrap())
    })
    .await;
    show(client, batch).await
}

/// The lines of a file.
pub(crate) async fn read(client: &Client, file: &Value) -> Vec<Value> {
    let Some(id) = file.as_str() else { return Vec::new() };
    let text = client.get(&format!("/v1/files/{id}/content")).await.ok_text();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_n_calls_of_which_k_fail_the_others_are_answered_and_charged() {
    let app = one_by_one().await;
    let owner = app.owner().await;
    give_credits(&app, &owner, 100).await;
    let streamed =
        line("streamed", "gpt-4o-mini").replace("\"model\"", "\"stream\":true,\"model\"");
    let content = lines(6)
        + &[line("unpriced", "gpt-unpriced"), streamed, line("last", "gpt-4o-mini")].join("\n");

    let batch = create(&owner, &content).await;

    assert_eq!((&batch["object"], &batch["endpoint"]), (&json!("batch"), &json!(CHAT)));
    assert_eq!(
        (&batch["status"], &batch["metadata"]["run"]),
        (&json!("in_progress"), &json!("nightly"))
    );
    let batch = ended(&app, &owner, &batch).await;
    assert_eq!(batch["status"], "completed");
    assert_eq!(batch["request_counts"], json!({ "total": 9, "completed": 7, "failed": 2 }));
    let answers = read(&owner, &batch["output_file_id"]).await;
    let ids: Vec<_> = answers.iter().map(|it| it["custom_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["call-0", "call-1", "call-2", "call-3", "call-4", "call-5", "last"]);
    for answer in &answers {
        assert_eq!(answer["response"]["status_code"], 200);
        let said = &answer["response"]["body"]["choices"][0]["message"]["content"];
        assert!(said.as_str().unwrap().contains(answer["custom_id"].as_str().unwrap()), "{answer}");
    }
    let failed = read(&owner, &batch["error_file_id"]).await;
    assert_eq!(failed.len(), 2);
    assert_eq!(failed[1]["response"]["body"]["errors"][0]["pointer"], "/stream");
    assert_eq!(failed[0]["response"]["status_code"], 404);
    assert_eq!(failed[0]["response"]["body"]["error"]["code"], "unknown_model");
    assert_eq!((provider_calls(&app), &usage(&owner).await["calls"]), (7, &json!(7)));
    let kept: i64 = sqlx::query_scalar("select count(*) from generations")
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    assert_eq!(kept, 0, "the calls are forgotten");
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_stops_a_batch_where_it_stops_any_call() {
    let app = one_by_one().await;
    let owner = app.owner().await;

    let batch = create(&owner, &lines(9)).await;
    let batch = ended(&app, &owner, &batch).await;

    assert_eq!(batch["request_counts"], json!({ "total": 9, "completed": 5, "failed": 4 }));
    let refused = read(&owner, &batch["error_file_id"]).await;
    assert!(refused.iter().all(|it| it["response"]["body"]["code"] == "quota_exhausted"));
    assert_eq!(provider_calls(&app), 5, "the plan's five a day");
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_what_is_in_flight_ends_and_is_charged_and_nothing_else_is_made() {
    let app = TestApp::start_with(|settings| {
        settings.ai.ai_background_calls = 4;
        settings.ai.openai_batches = false;
    })
    .await;
    let owner = app.owner().await;
    give_credits(&app, &owner, 100).await;
    app.simulators.ai.hold();
    let batch = create(&owner, &lines(20)).await;
    app.run_jobs().await;
    app.simulators.ai.wait_for_calls(2).await;

    let path = format!("/v1/batches/{}/cancel", batch["id"].as_str().unwrap());
    let cancelling = owner.request(Method::POST, &path).send().await.unwrap();
    let cancelling = Reply::read(cancelling).await.ok();
    assert_eq!(cancelling["status"], "cancelling");
    app.simulators.ai.release();

    let batch = ended(&app, &owner, &batch).await;
    assert_eq!(batch["status"], "cancelled");
    assert_eq!(batch["request_counts"], json!({ "total": 20, "completed": 2, "failed": 0 }));
    assert!(batch["cancelled_at"].is_i64());
    let not_made = read(&owner, &batch["error_file_id"]).await;
    assert_eq!(not_made.len(), 18);
    assert!(not_made.iter().all(|it| it["error"]["code"] == "batch_cancelled"));
    assert_eq!((provider_calls(&app), &usage(&owner).await["calls"]), (2, &json!(2)));
    let again = owner.post(&path, json!({})).await;
    assert_eq!(again.problem(), (409, "batch_has_ended".into()));
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_a_batch_goes_on_and_no_call_is_charged_twice() {
    let app = one_by_one().await;
    let owner = app.owner().await;
    give_credits(&app, &owner, 100).await;
    app.simulators.ai.hold();
    let batch = create(&owner, &lines(4)).await;
    // As if a process had taken a call on and died: nobody renews its lease.
    sqlx::query(
        "update generations set status = 'running', leased_until = $1 where custom_id = 'call-0'",
    )
    .bind(app.clock.now() + TimeDelta::minutes(2))
    .execute(app.db.pool())
    .await
    .unwrap();
    app.simulators.ai.release();
    app.run_jobs().await;
    app.ai.drain().await;
    assert_eq!(show(&owner, &batch).await["request_counts"]["completed"], 3);

    app.advance(TimeDelta::minutes(3));
    let mut tx = app.db.begin().await.unwrap();
    for job in ["ai.end_lost_generations", "ai.run_batches"] {
        let add = "select graphile_worker.add_job($1, '{\"job\": {}}'::json)";
        sqlx::query(add).bind(job).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    let batch = ended(&app, &owner, &batch).await;

    assert_eq!(batch["request_counts"], json!({ "total": 4, "completed": 3, "failed": 1 }));
    let lost = read(&owner, &batch["error_file_id"]).await;
    assert_eq!(lost[0]["response"]["body"]["code"], "outcome_unknown");
    assert_eq!((provider_calls(&app), &usage(&owner).await["calls"]), (3, &json!(3)));
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_in_which_nothing_was_billed_is_tried_again() {
    let app = one_by_one().await;
    let owner = app.owner().await;
    app.simulators.ai.next_n(3, Fault::Status { status: 500, retry_after: None });

    let batch = create(&owner, &lines(1)).await;
    app.run_jobs().await;
    app.ai.drain().await;
    assert_eq!(show(&owner, &batch).await["status"], "in_progress");
    app.advance(TimeDelta::seconds(20));
    // The queue goes by Postgres's clock, in whose morning the product's noon is far away.
    sqlx::query("update graphile_worker._private_jobs set run_at = least(run_at, now())")
        .execute(app.db.pool())
        .await
        .unwrap();
    let batch = ended(&app, &owner, &batch).await;

    assert_eq!(batch["request_counts"], json!({ "total": 1, "completed": 1, "failed": 0 }));
    assert_eq!(usage(&owner).await["calls"], 1);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn what_has_not_begun_within_a_day_is_not_made() {
    let app = one_by_one().await;
    let owner = app.owner().await;
    let key = owner.post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
    let client = owner.with_key(key["secret"].as_str().unwrap());
    let batch = create(&client, &lines(3)).await;

    app.advance(TimeDelta::hours(24));
    let batch = ended(&app, &client, &batch).await;

    assert_eq!(batch["status"], "expired");
    assert_eq!(batch["request_counts"], json!({ "total": 3, "completed": 0, "failed": 0 }));
    let not_made = read(&client, &batch["error_file_id"]).await;
    assert!(not_made.iter().all(|it| it["error"]["code"] == "batch_expired"), "{not_made:?}");
    assert_eq!((not_made.len(), provider_calls(&app)), (3, 0));
}

#[tokio::test]
async fn a_file_that_is_no_batch_gives_a_failed_one_that_says_why() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let batch = create(&owner, "{\"custom_id\": 1}\nnonsense\n").await;

    assert_eq!((&batch["status"], &batch["output_file_id"]), (&json!("failed"), &Value::Null));
    let told = batch["errors"]["data"].as_array().unwrap();
    let told: Vec<_> = told.iter().map(|it| (&it["code"], &it["line"])).collect();
    let code = json!("invalid_json_line");
    assert_eq!(told, [(&code, &json!(1)), (&code, &json!(2))]);
}

#[tokio::test]
async fn files_are_listed_read_and_deleted_as_openais_sdks_do() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (one, two) = (upload(&owner, "a").await.ok(), upload(&owner, "bc").await.ok());
    assert_eq!(
        (&two["object"], &two["bytes"], &two["status"]),
        (&json!("file"), &json!(2), &json!("processed"))
    );
    assert_eq!((&two["filename"], &two["purpose"]), (&json!("calls.jsonl"), &json!("batch")));

    let first = owner.get("/v1/files?limit=1&purpose=batch").await.ok();
    assert_eq!((&first["data"][0]["id"], &first["has_more"]), (&two["id"], &json!(true)));
    let path = format!("/v1/files?limit=1&after={}", first["last_id"].as_str().unwrap());
    let second = owner.get(&path).await.ok();
    assert_eq!((&second["data"][0]["id"], &second["has_more"]), (&one["id"], &json!(false)));

    let path = format!("/v1/files/{}", one["id"].as_str().unwrap());
    assert_eq!(owner.get(&format!("{path}/content")).await.ok_text(), "a");
    assert_eq!(owner.delete(&path).await.ok()["deleted"], true);
    assert_eq!(owner.get(&path).await.problem(), (404, "file_not_found".into()));
    assert_eq!(owner.delete(&path).await.problem(), (404, "file_not_found".into()));
    app.advance(TimeDelta::days(7));
}

#[tokio::test]
async fn nobody_sees_ends_or_uses_what_another_org_has() {
    let app = TestApp::start().await;
    let (owner, stranger) = (app.owner().await, app.owner().await);
    let batch = create(&owner, &lines(1)).await;
    let (id, file) = (batch["id"].as_str().unwrap(), batch["input_file_id"].as_str().unwrap());

    for path in [
        format!("/v1/batches/{id}"),
        format!("/v1/files/{file}"),
        format!("/v1/files/{file}/content"),
    ] {
        assert_eq!(stranger.get(&path).await.status, 404, "{path}");
    }
    assert_eq!(stranger.post(&format!("/v1/batches/{id}/cancel"), json!({})).await.status, 404);
    assert_eq!(stranger.delete(&format!("/v1/files/{file}")).await.status, 404);
    let theirs = json!({ "input_file_id": file, "endpoint": CHAT, "completion_window": "24h" });
    assert_eq!(
        stranger.post("/v1/batches", theirs).await.problem(),
        (404, "file_not_found".into())
    );
    for list in ["/v1/batches", "/v1/files"] {
        assert_eq!(stranger.get(list).await.ok()["data"], json!([]), "{list}");
    }
}

#[tokio::test]
async fn nonsense_is_refused_and_says_what_to_send() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let file = upload(&owner, &lines(1)).await.ok();
    for (field, value) in [
        ("endpoint", json!("/v1/responses")),
        ("completion_window", json!("1h")),
        ("metadata", json!({ "a": "b".repeat(513) })),
    ] {
        let mut batch =
            json!({ "input_file_id": file["id"], "endpoint": CHAT, "completion_window": "24h" });
        batch[field] = value;
        let refused = owner.post("/v1/batches", batch).await;
        assert_eq!(refused.problem(), (422, "invalid_field".into()), "{field}");
    }
    assert_eq!(owner.post("/v1/files", json!({})).await.problem().0, 415);
    let request = owner.request(Method::POST, "/v1/files");
    let cut = request.header("content-type", "multipart/form-data; boundary=x").body("--x\r\nno");
    let refused = Reply::read(cut.send().await.unwrap()).await;
    assert_eq!(refused.problem(), (400, "malformed_form".into()));
    let batch =
        json!({ "input_file_id": file["id"], "endpoint": CHAT, "completion_window": "24h" });
    for _ in 0..20 {
        owner.post("/v1/batches", batch.clone()).await.ok();
    }
    let one_more = owner.post("/v1/batches", batch).await;
    assert_eq!(one_more.problem(), (409, "too_many_batches".into()));
    let large = upload(&owner, &"a".repeat(21 * 1024 * 1024)).await;
    assert_eq!(large.problem(), (413, "body_too_large".into()));
}
