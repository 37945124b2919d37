//! Endpoints for which a lot is kept.

use serde_json::json;
use testing::{Client, TestApp};
use uuid::Uuid;

use crate::{count, execute, happen, listen, path, value};

const MANY: i64 = 2500;

/// As many events that the endpoint did not take.
async fn many_failed(app: &TestApp, owner: &Client) {
    execute(app, "alter table webhook_events disable trigger queue_webhook_event").await;
    let events = "insert into webhook_events (id, org_id, type, payload, created_at)
                  select gen_random_uuid(), $1, 'test.happened', '{}', $2 from generate_series(1, $3)";
    let events = sqlx::query(events).bind(owner.org()).bind(app.clock.now()).bind(MANY);
    events.execute(app.db.pool()).await.unwrap();
    execute(
        app,
        "insert into webhook_deliveries (endpoint_id, event_id, org_id, status, attempts, due_at, created_at)
         select n.id, e.id, e.org_id, 'failed', 10, e.created_at, e.created_at
         from webhook_events e, webhook_endpoints n",
    )
    .await;
}

#[tokio::test]
async fn however_many_failed_all_are_replayed_and_the_log_says_how_many() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let endpoint = listen(&app, &owner, "/a").await;
    many_failed(&app, &owner).await;
    let replayed = owner.post(&format!("{}/replays", path(&endpoint)), json!({})).await.ok();
    assert_eq!(replayed["events"], json!(MANY));
    let due = "select count(*) from webhook_deliveries where status = 'pending' and attempts = 0";
    assert_eq!(count(&app, due).await, MANY);
    let noted = "select sum((after ->> 'events')::bigint)::text from audit_events
                 where action = 'webhook_events.replayed'";
    assert_eq!(value(&app, noted).await, Some(MANY.to_string()));
}

#[tokio::test]
async fn an_endpoint_with_many_events_is_deleted_with_all_of_them_and_by_its_org_only() {
    let app = TestApp::start().await;
    let (owner, other) = (app.owner().await, app.owner().await);
    let endpoint = listen(&app, &owner, "/a").await;
    many_failed(&app, &owner).await;
    let kept = "select count(*) from webhook_deliveries";
    assert_eq!(other.delete(&path(&endpoint)).await.problem().0, 404);
    assert_eq!(count(&app, kept).await, MANY);
    owner.delete(&path(&endpoint)).await.ok_text();
    assert_eq!(count(&app, kept).await, 0);
}

#[tokio::test]
async fn enabling_an_endpoint_touches_only_what_was_tried_before() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let endpoint = listen(&app, &owner, "/a").await;
    owner.patch(&path(&endpoint), json!({ "enabled": false })).await.ok();
    happen(&app, &owner, 4).await;
    app.run_jobs().await;
    let tried = "update webhook_deliveries set attempts = 3, due_at = due_at + interval '1 hour'
                 where event_id = (select event_id from webhook_deliveries order by 1 limit 1)
                 returning event_id";
    let tried: Uuid = sqlx::query_scalar(tried).fetch_one(app.db.pool()).await.unwrap();
    let versions = async || -> Vec<(Uuid, String)> {
        let rows = "select event_id, xmin::text from webhook_deliveries order by 1";
        sqlx::query_as(rows).fetch_all(app.db.pool()).await.unwrap()
    };
    let before = versions().await;

    owner.patch(&path(&endpoint), json!({ "enabled": true })).await.ok();

    let touched = before.into_iter().zip(versions().await).filter(|(one, other)| one != other);
    let touched: Vec<_> = touched.map(|((event, _), _)| event).collect();
    assert_eq!(touched, [tried]);
    app.run_jobs().await;
    assert_eq!(app.simulators.sink.received("/a").len(), 4, "all of them are sent");
}
