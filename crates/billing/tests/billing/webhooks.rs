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
