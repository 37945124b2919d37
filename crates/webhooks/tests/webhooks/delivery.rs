use serde_json::{Value, json};
use testing::TestApp;
use webhooks::{Secret, signature};

use crate::{Happened, count, deliver, execute, happen, listen, path, taken_over};

#[tokio::test]
async fn what_happens_is_told_signed_and_with_its_id() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let endpoint = listen(&app, &owner, "/a").await;

    let key = owner.post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
    app.run_jobs().await;

    let received = app.simulators.sink.received("/a");
    let [one] = &received[..] else { panic!("{received:?}") };
    let payload: Value = serde_json::from_str(&one.body).unwrap();
    assert_eq!(payload["type"], json!("api_key.created"));
    assert_eq!(payload["data"]["api_key_id"], key["id"]);
    assert!(!one.body.contains(key["secret"].as_str().unwrap()), "{}", one.body);
    assert_eq!(one.headers["content-type"], "application/json");

    let secret = Secret::read(endpoint["secret"].as_str().unwrap()).unwrap();
    let timestamp: i64 = one.headers["webhook-timestamp"].parse().unwrap();
    assert_eq!(timestamp, app.clock.now().timestamp());
    let expected = signature(&[secret], &one.headers["webhook-id"], timestamp, &one.body);
    assert_eq!(one.headers["webhook-signature"], expected);

    let list = owner.get(&format!("{}/deliveries", path(&endpoint))).await.ok();
    assert_eq!(list["items"][0]["event_id"], json!(one.headers["webhook-id"]));
    assert_eq!(list["items"][0]["status"], json!("delivered"));
    assert_eq!(list["items"][0]["payload"], payload);
    let log = owner.get(&format!("{}/attempts", path(&endpoint))).await.ok();
    assert_eq!(log["items"][0]["status"], json!(200));
    assert_eq!(log["items"][0]["response"], json!("taken"));
}

#[tokio::test]
async fn what_is_rolled_back_is_not_told() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    listen(&app, &owner, "/a").await;
    let mut tx = app.db.begin().await.unwrap();
    let event = Happened { number: 1 };
    webhooks::emit(&mut tx, owner.org(), &event, app.clock.now()).await.unwrap();
    tx.rollback().await.unwrap();
    app.run_jobs().await;
    assert_eq!(app.simulators.sink.received("/a").len(), 0);
}

#[tokio::test]
async fn nothing_is_written_if_nobody_listens() {
    let app = TestApp::start().await;
    let (owner, other) = (app.owner().await, app.owner().await);
    listen(&app, &other, "/other").await;
    let narrow = json!({ "url": app.simulators.sink.url(), "events": ["api_key.created"] });
    owner.post("/v1/webhook-endpoints", narrow).await.ok();

    happen(&app, &owner, 1).await;

    assert_eq!(count(&app, "select count(*) from webhook_events").await, 0);
}

#[tokio::test]
async fn an_endpoint_is_told_of_the_types_that_were_chosen_for_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    listen(&app, &owner, "/all").await;
    let url = format!("{}/keys", app.simulators.sink.url());
    let keys = json!({ "url": url, "events": ["api_key.revoked", "api_key.created"] });
    owner.post("/v1/webhook-endpoints", keys).await.ok();

    owner.post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
    happen(&app, &owner, 1).await;
    app.run_jobs().await;

    assert_eq!(app.simulators.sink.received("/all").len(), 2);
    assert_eq!(app.simulators.sink.received("/keys").len(), 1);
}

#[tokio::test]
async fn what_happens_in_one_org_never_reaches_the_endpoint_of_another() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    listen(&app, &ours, "/ours").await;
    listen(&app, &theirs, "/theirs").await;
    happen(&app, &ours, 3).await;
    app.run_jobs().await;
    assert_eq!(app.simulators.sink.received("/ours").len(), 3);
    assert_eq!(app.simulators.sink.received("/theirs").len(), 0);

    // Nor could it by a mistake of ours.
    let crossed =
        "insert into webhook_deliveries (endpoint_id, event_id, org_id, status, due_at, created_at)
                   select n.id, e.id, e.org_id, 'pending', now(), now()
                   from webhook_events e join webhook_endpoints n on n.org_id <> e.org_id";
    let refused = sqlx::query(crossed).execute(app.db.pool()).await.unwrap_err();
    assert!(refused.to_string().contains("foreign key"), "{refused}");
}

#[tokio::test]
async fn deleting_an_endpoint_cancels_what_waits_for_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let endpoint = listen(&app, &owner, "/a").await;
    app.simulators.sink.reply("/a", 500);
    happen(&app, &owner, 2).await;
    app.run_jobs().await;
    let seen = app.simulators.sink.received("/a").len();

    owner.delete(&path(&endpoint)).await.ok_text();
    app.advance(chrono::TimeDelta::days(1));
    happen(&app, &owner, 1).await;
    deliver(&app).await;

    assert_eq!(app.simulators.sink.received("/a").len(), seen);
    assert_eq!(count(&app, "select count(*) from webhook_deliveries").await, 0);
}

#[tokio::test]
async fn an_event_of_which_nobody_wrote_down_that_it_was_sent_is_sent_again_with_the_same_id() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    listen(&app, &owner, "/a").await;
    happen(&app, &owner, 1).await;
    app.run_jobs().await;
    // As a process leaves it that dies between the answer and its commit.
    execute(&app, "update webhook_deliveries set status = 'pending'").await;
    execute(&app, "delete from webhook_attempts").await;
    taken_over(&app).await;
    let under_way = "update webhook_deliveries d set lane = n.lane from webhook_endpoints n";
    execute(&app, under_way).await;

    deliver(&app).await;
    assert_eq!(app.simulators.sink.received("/a").len(), 1, "the dead process may still live");
    execute(&app, "update webhook_endpoints set lane_until = clock_timestamp()").await;
    deliver(&app).await;

    let received = app.simulators.sink.received("/a");
    let [first, again] = &received[..] else { panic!("{received:?}") };
    assert_eq!(first.headers["webhook-id"], again.headers["webhook-id"]);
    assert_eq!(first.body, again.body);
    assert_eq!(
        count(&app, "select count(*) from webhook_deliveries where status = 'delivered'").await,
        1
    );
}

#[tokio::test]
async fn a_test_event_goes_to_one_endpoint_only_and_is_the_example_of_its_type() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let endpoint = listen(&app, &owner, "/a").await;
    listen(&app, &owner, "/b").await;
    let test = format!("{}/test-events", path(&endpoint));

    let sent = owner.post(&test, json!({})).await.ok();
    owner.post(&test, json!({ "type": "member.joined" })).await.ok();
    app.run_jobs().await;

    let received = app.simulators.sink.received("/a");
    let [plain, joined] = &received[..] else { panic!("{received:?}") };
    assert_eq!(json!(plain.headers["webhook-id"]), sent["event_id"]);
    assert!(plain.body.contains("webhook.test"));
    assert!(joined.body.contains("\"type\":\"member.joined\""), "{}", joined.body);
    assert_eq!(app.simulators.sink.received("/b").len(), 0);
    let unknown = owner.post(&test, json!({ "type": "no.such" })).await;
    assert_eq!(unknown.problem().0, 422);
}

#[tokio::test]
async fn a_job_for_what_is_no_more_is_done_and_delays_nobody() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    listen(&app, &owner, "/a").await;
    execute(&app, "select wake_webhook_endpoint(gen_random_uuid())").await;
    execute(
        &app,
        "select graphile_worker.add_job('webhooks.dispatch',
             json_build_object('job', json_build_object('event', gen_random_uuid())))",
    )
    .await;
    // Poison: it fails alone.
    execute(&app, "select graphile_worker.add_job('webhooks.deliver', '{\"job\": 7}'::json)").await;
    happen(&app, &owner, 1).await;
    app.run_jobs().await;
    assert_eq!(app.simulators.sink.received("/a").len(), 1);
    let failed = "select count(*) from graphile_worker.jobs where attempts > 0";
    assert_eq!(count(&app, failed).await, 1, "the poison is tried again, and nothing else");
}

#[tokio::test]
async fn a_delivery_is_of_the_time_at_which_it_happened_however_late_it_is_made() {
    let app = TestApp::start().await;
    let owner = crate::lasting_owner(&app).await;
    let endpoint = listen(&app, &owner, "/a").await;
    let happened_at = app.clock.now();
    happen(&app, &owner, 1).await;
    app.advance(chrono::TimeDelta::hours(3));
    app.run_jobs().await;
    let list = owner.get(&format!("{}/deliveries", path(&endpoint))).await.ok();
    let shown: chrono::DateTime<chrono::Utc> =
        list["items"][0]["created_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(shown, happened_at);
}
