//! What operators see of Stripe's events, and how they have them applied again.

use serde_json::{Value, json};
use simulators::stripe::{Delivery, Fault, Trouble};
use testing::{Client, TestApp};

use crate::support::{buy, count, credits, outcomes, pay, send_event, settle};

async fn events(operator: &Client, query: &str) -> Vec<Value> {
    let page = operator.get(&format!("/admin/v1/billing/events{query}")).await.ok();
    page["items"].as_array().unwrap().clone()
}

fn event(id: &str, kind: &str, version: &str) -> Value {
    json!({
        "id": id, "object": "event", "type": kind, "api_version": version, "livemode": false,
        "data": { "object": { "id": "x_1", "object": "novelty", "new": ["\u{0}", { "a": 1 }] } },
    })
}

#[tokio::test]
async fn events_of_unknown_types_and_versions_are_kept_as_they_came_and_shown() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let unknown = event("evt_new", "novelty.happened", "2099-01-01.future");
    let old = event("evt_old", "invoice.paid", "2012-07-09");
    for event in [&unknown, &old] {
        assert_eq!(send_event(&app, event).await.status, 200);
    }
    app.run_jobs().await;

    let seen = events(&operator, "?type=novelty.happened").await;
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (&seen[0]["outcome"], &seen[0]["api_version"]),
        (&json!("ignored"), &json!("2099-01-01.future"))
    );
    let body = operator.get("/admin/v1/billing/events/evt_new").await.ok();
    assert_eq!(body["payload"], unknown.to_string(), "not one byte is changed");
    assert_eq!(events(&operator, "?state=ignored").await.len(), 2);
    assert_eq!(events(&operator, "?state=failing").await.len(), 0);
    let missing = operator.get("/admin/v1/billing/events/evt_none").await;
    assert_eq!(missing.problem(), (404, "no_such_event".into()));
}

#[tokio::test]
async fn the_inbox_is_read_page_by_page() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    for n in 0..5 {
        send_event(&app, &event(&format!("evt_{n}"), "x.y", "1")).await.ok();
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = operator.get(&format!("/admin/v1/billing/events?limit=2{cursor}")).await.ok();
        seen.extend(page["items"].as_array().unwrap().iter().map(|it| it["id"].clone()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(json!(seen), json!(["evt_4", "evt_3", "evt_2", "evt_1", "evt_0"]));
}

#[tokio::test]
async fn an_event_that_cannot_be_applied_is_tried_again_and_ends_where_people_see_it() {
    let app = TestApp::start_with(|it| it.billing.stripe_timeout_ms = 1_500).await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    let checkout = buy(&owner, "pack-10").await.ok();
    app.simulators.stripe.deliver_as(Delivery { drop: true, ..Delivery::default() });
    pay(&app, &checkout);
    let event = app.simulators.stripe.events().pop().unwrap();
    let id = event["id"].as_str().unwrap();
    let refused = Trouble::Status { status: 402 };
    let fault = Fault { path: "/v1/checkout/sessions/".into(), times: 100, trouble: refused };
    app.simulators.stripe.fail(fault);
    app.simulators.stripe.redeliver(id, 1, false).await.unwrap();
    for _ in 0..10 {
        app.run_jobs().await;
        // The pauses between attempts grow to hours; here they are over at once.
        sqlx::query(
            "update graphile_worker._private_jobs set run_at = now() - interval '1 second'",
        )
        .execute(app.db.pool())
        .await
        .unwrap();
    }
    let failing = events(&operator, "?state=failing").await;
    assert_eq!((failing.len(), &failing[0]["failures"]), (1, &json!(10)));
    assert!(failing[0]["last_error"].as_str().unwrap().contains("402"), "{failing:?}");
    app.run_jobs().await;
    let told =
        count(&app, "select count(*) from emails where subject like '%could not be applied%'");
    assert_eq!(told.await, 1, "operators are told once");
    assert_eq!(outcomes(&app, "checkout.session.completed").await, [None], "it is not lost");

    app.simulators.stripe.heal();
    let path = format!("/admin/v1/billing/events/{id}/replays");
    assert_eq!(operator.post(&path, json!({})).await.status, 202);
    app.run_jobs().await;
    assert_eq!(credits(&owner).await, 10);
    assert_eq!(events(&operator, "?state=failing").await.len(), 0);
    let audited = "select count(*) from audit_events where action = 'stripe_event.replayed'";
    assert_eq!(count(&app, audited).await, 1);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_range_of_events_is_replayed_without_a_second_effect() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    let checkout = buy(&owner, "pack-10").await.ok();
    pay(&app, &checkout);
    settle(&app).await;
    assert_eq!(credits(&owner).await, 10);
    let now = app.clock.now();
    let range = json!({
        "from": now - chrono::TimeDelta::hours(1), "to": now + chrono::TimeDelta::hours(1),
    });
    let replayed = operator.post("/admin/v1/billing/event-replays", range.clone()).await;
    assert_eq!(replayed.status, 202);
    let total = count(&app, "select count(*) from stripe_events").await;
    assert_eq!(replayed.ok()["events"], total);
    app.run_jobs().await;
    assert_eq!(credits(&owner).await, 10);
    assert_eq!(count(&app, "select count(*) from stripe_events where handled_at is null").await, 0);

    let mut nothing = range;
    nothing["type"] = json!("never.sent");
    let none = operator.post("/admin/v1/billing/event-replays", nothing).await.ok();
    assert_eq!(none["events"], 0);
    let audited = "select count(*) from audit_events where action = 'stripe_events.replayed'";
    assert_eq!(count(&app, audited).await, 2);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn an_event_of_the_other_mode_stays_ignored_when_it_is_replayed() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let mut live = event("evt_live", "checkout.session.completed", "1");
    live["livemode"] = json!(true);
    send_event(&app, &live).await.ok();
    operator.post("/admin/v1/billing/events/evt_live/replays", json!({})).await;
    app.run_jobs().await;
    assert_eq!(outcomes(&app, "checkout.session.completed").await, [Some("ignored".to_owned())]);
}
