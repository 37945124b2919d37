use chrono::TimeDelta;
use serde_json::{Value, json};
use testing::{Client, TestApp};

use crate::{happen, lasting_owner, listen, path};

async fn replay(owner: &Client, endpoint: &Value, what: Value) -> testing::Reply {
    owner.post(&format!("{}/replays", path(endpoint)), what).await
}

#[tokio::test]
async fn one_event_or_those_of_a_range_are_sent_again_with_the_ids_they_had() {
    let app = TestApp::start().await;
    let owner = lasting_owner(&app).await;
    let endpoint = listen(&app, &owner, "/a").await;
    let mut hours = vec![];
    for _ in 0..3 {
        hours.push(app.clock.now());
        happen(&app, &owner, 2).await;
        app.run_jobs().await;
        app.advance(TimeDelta::hours(1));
    }
    let sent = app.simulators.sink.received("/a");
    let id = &sent[0].headers["webhook-id"];

    let one = replay(&owner, &endpoint, json!({ "event_id": id })).await.ok();
    assert_eq!(one["events"], json!(1));
    app.run_jobs().await;
    assert_eq!(&app.simulators.sink.received("/a")[6].headers["webhook-id"], id);

    let range = json!({ "from": hours[1], "to": hours[2], "delivered": true });
    assert_eq!(replay(&owner, &endpoint, range).await.ok()["events"], json!(2));
    app.run_jobs().await;
    assert_eq!(app.simulators.sink.received("/a").len(), 9);

    let failed = replay(&owner, &endpoint, json!({ "from": hours[0] })).await.ok();
    assert_eq!(failed["events"], json!(0), "nothing failed");
    let log = owner.get("/v1/audit-log?action=webhook_events.replayed").await.ok();
    assert_eq!(log["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_cannot_be_replayed_is_refused() {
    let app = TestApp::start().await;
    let (owner, other) = (app.owner().await, app.owner().await);
    let endpoint = listen(&app, &owner, "/a").await;
    listen(&app, &other, "/b").await;
    happen(&app, &other, 1).await;
    app.run_jobs().await;
    let theirs = &app.simulators.sink.received("/b")[0].headers["webhook-id"];

    let foreign = replay(&owner, &endpoint, json!({ "event_id": theirs })).await;
    assert_eq!(foreign.problem(), (404, "webhook_event_not_found".into()));
    for wrong in [
        json!({ "from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z" }),
        json!({ "event_id": theirs, "from": "2026-01-02T00:00:00Z" }),
        json!({ "event_id": "x" }),
        json!({ "status": "failed" }),
    ] {
        assert_eq!(replay(&owner, &endpoint, wrong.clone()).await.problem().0, 422, "{wrong}");
    }
}

#[tokio::test]
async fn lists_are_read_in_pages_and_by_what_one_looks_for() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let endpoint = listen(&app, &owner, "/a").await;
    happen(&app, &owner, 3).await;
    owner.post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
    app.run_jobs().await;
    for list in ["deliveries", "attempts"] {
        let list = format!("{}/{list}", path(&endpoint));
        let first = owner.get(&format!("{list}?limit=3")).await.ok();
        let cursor = first["next_cursor"].as_str().unwrap();
        let rest = owner.get(&format!("{list}?limit=3&cursor={cursor}")).await.ok();
        let lengths = [&first, &rest].map(|it| it["items"].as_array().unwrap().len());
        assert_eq!(lengths, [3, 1], "{list}");
        assert_eq!(owner.get(&format!("{list}?limit=0")).await.problem().0, 422);
    }
    let keys = format!("{}/deliveries?type=api_key.created", path(&endpoint));
    let keys = owner.get(&keys).await.ok();
    let event = keys["items"][0]["event_id"].as_str().unwrap();
    let of = format!("{}/attempts?event_id={event}", path(&endpoint));
    assert_eq!(owner.get(&of).await.ok()["items"].as_array().unwrap().len(), 1);
}
