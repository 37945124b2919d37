use std::pin::pin;

use futures::{
    StreamExt,
    future::{Either, select},
    stream::FuturesUnordered,
};
use serde_json::json;
use testing::TestApp;

use crate::support::{WEBHOOK_SECRET, count, outcomes, send, send_event, signature};

const EVENT: &str = r#"{"id": "evt_1", "type": "something.new", "livemode": false, "data": {}}"#;

async fn stored(app: &TestApp) -> i64 {
    count(app, "select count(*) from stripe_events").await
}

#[tokio::test]
async fn what_stripe_did_not_sign_is_refused_and_not_stored() {
    let app = TestApp::start().await;
    let good = signature(&app, WEBHOOK_SECRET, EVENT, 0);
    let reserialised = EVENT.replace(": ", ":");
    for (body, header) in [
        (EVENT, String::new()),
        (EVENT, signature(&app, "whsec_of_another_endpoint", EVENT, 0)),
        (EVENT, signature(&app, WEBHOOK_SECRET, EVENT, 301)),
        (EVENT, signature(&app, WEBHOOK_SECRET, EVENT, -301)),
        (EVENT, good.replace("v1=", "v0=")),
        (EVENT, good.split_once(",v1=").unwrap().0.to_owned() + ",v1="),
        (&reserialised, good),
    ] {
        let reply = send(&app, body, &header).await;
        assert_eq!(reply.problem(), (400, "invalid_event".into()), "{header}");
    }
    let unsigned = app.anonymous().post("/v1/webhooks/stripe", json!({ "id": "evt_1" })).await;
    assert_eq!(unsigned.problem(), (400, "invalid_event".into()));
    assert_eq!(stored(&app).await, 0);
}

#[tokio::test]
async fn while_the_secret_is_replaced_one_good_signature_suffices() {
    let app = TestApp::start().await;
    let old = signature(&app, "whsec_old", EVENT, 0);
    let new = signature(&app, WEBHOOK_SECRET, EVENT, 0);
    let both = format!("{old},{}", new.split_once(',').unwrap().1);
    assert_eq!(send(&app, EVENT, &both).await.status, 200);
    assert_eq!(stored(&app).await, 1);
}

#[tokio::test]
async fn events_of_any_kind_and_version_are_kept_exactly_as_signed() {
    let app = TestApp::start().await;
    let odd = "{\"id\":\"evt_odd\",  \"type\":\"v2.x\",\"livemode\":false,\"api_version\":\"2011-01-01\",\
               \"data\":{\"object\":{\"id\":7,\"note\":\"\\u0000 \u{fffd}\"}},\"more\":[{}]}";
    for body in [EVENT, odd] {
        let header = signature(&app, WEBHOOK_SECRET, body, 0);
        assert_eq!(send(&app, body, &header).await.status, 200);
    }
    app.run_jobs().await;
    let payload: String =
        sqlx::query_scalar("select payload from stripe_events where id = 'evt_odd'")
            .fetch_one(app.db.pool())
            .await
            .unwrap();
    assert_eq!(payload, odd);
    assert_eq!(outcomes(&app, "something.new").await, [Some("ignored".into())]);
    assert_eq!(outcomes(&app, "v2.x").await, [Some("ignored".into())]);
}

#[tokio::test]
async fn events_of_the_other_mode_or_of_connected_accounts_are_kept_but_not_applied() {
    let app = TestApp::start().await;
    let live = json!({ "id": "evt_1", "type": "invoice.paid", "livemode": true });
    let connected =
        json!({ "id": "evt_2", "type": "invoice.paid", "livemode": false, "account": "acct_1" });
    for event in [live, connected] {
        assert_eq!(send_event(&app, &event).await.status, 200);
    }
    assert_eq!(
        outcomes(&app, "invoice.paid").await,
        [Some("ignored".to_owned()), Some("ignored".into())]
    );
}

#[tokio::test]
async fn a_signed_body_that_is_no_event_is_refused() {
    let app = TestApp::start().await;
    for body in [
        "",
        "[]",
        "null",
        "{",
        r#"{"id": "evt_1"}"#,
        r#"{"id": 1, "type": "x", "livemode": false}"#,
    ] {
        let reply = send(&app, body, &signature(&app, WEBHOOK_SECRET, body, 0)).await;
        assert_eq!(reply.problem(), (400, "invalid_event".into()), "{body}");
    }
    let huge = format!(
        r#"{{"id": "evt_1", "type": "x", "livemode": false, "x": "{}"}}"#,
        "x".repeat(1 << 20)
    );
    let reply = send(&app, &huge, &signature(&app, WEBHOOK_SECRET, &huge, 0)).await;
    assert_eq!(reply.problem(), (413, "unreadable_body".into()));
    assert_eq!(stored(&app).await, 0);
}

/// Waits until a connection of the product waits for a lock of somebody else's.
async fn somebody_waits(app: &TestApp) {
    let waiting = "select count(*) from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'";
    while count(app, waiting).await == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn events_that_share_a_commit_are_answered_once_they_are_stored_and_each_for_itself() {
    let app = TestApp::start().await;
    // Nothing can be stored, so everything that comes meanwhile comes together.
    let mut lock = app.db.begin().await.unwrap();
    sqlx::query("lock table stripe_events").execute(&mut *lock).await.unwrap();
    let event = |id: &str| json!({ "id": id, "type": "x", "livemode": false, "data": {} });
    let ids: Vec<String> = (0..60).map(|number| format!("evt_{}", number % 20)).collect();
    let poison = event("evt_\u{0}");
    let events: Vec<_> = ids.iter().map(|id| event(id)).chain([poison]).collect();
    let mut answers: FuturesUnordered<_> = events
        .iter()
        .map(async |event| (event["id"].clone(), send_event(&app, event).await))
        .collect();
    let mut waiting = pin!(somebody_waits(&app));
    let first = select(answers.next(), &mut waiting).await;
    assert!(matches!(first, Either::Right(_)), "answered before it was stored");
    lock.rollback().await.unwrap();
    while let Some((id, answer)) = answers.next().await {
        if id == "evt_\u{0}" {
            assert_eq!(answer.problem(), (422, "invalid_text".into()));
        } else {
            assert_eq!(answer.status, 200, "{id}");
        }
    }
    assert_eq!(stored(&app).await, 20);
    let waiting =
        "select count(*) from graphile_worker.jobs where key like 'billing.apply_stripe_event:%'";
    let unqueued =
        "select count(*) from graphile_worker.jobs where key = 'billing.queue_stripe_events'";
    assert_eq!(count(&app, unqueued).await, 1, "one for all");
    app.run_jobs().await;
    assert_eq!(outcomes(&app, "x").await, vec![Some("ignored".to_owned()); 20]);
    assert_eq!(send_event(&app, &event("evt_7")).await.status, 200, "it was there before");
    assert_eq!(count(&app, waiting).await, 0, "and is handled");
}

#[tokio::test]
async fn while_the_database_is_away_stripe_is_told_to_try_again() {
    let app = TestApp::start().await;
    app.db.pool().close().await;
    let reply = send(&app, EVENT, &signature(&app, WEBHOOK_SECRET, EVENT, 0)).await;
    assert_eq!(reply.status, 503, "{:?}", reply.body);
}
