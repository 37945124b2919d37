use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use simulators::sink::Reply;
use testing::{Client, TestApp};

use crate::{count, deliver, happen, lasting_owner, listen, path};

/// When the next attempt is due, for the event or for its endpoint.
async fn next(app: &TestApp) -> Option<DateTime<Utc>> {
    let due = "select greatest(n.paused_until, (select min(due_at) from webhook_deliveries where status = 'pending'))
               from webhook_endpoints n
               where n.disabled_at is null and exists (select from webhook_deliveries where status = 'pending')";
    sqlx::query_scalar(due).fetch_optional(app.db.pool()).await.unwrap().flatten()
}

/// Moves to the next attempt and makes it; `false` if there is none.
async fn advance_to_next(app: &TestApp) -> bool {
    let Some(next) = next(app).await else { return false };
    app.advance((next - app.clock.now()).max(TimeDelta::zero()));
    deliver(app).await;
    true
}

fn mails(app: &TestApp, owner: &Client, about: &str) -> usize {
    let mails = app.simulators.mailbox.messages_to(&owner.email);
    mails.iter().filter(|it| it.subject.contains(about)).count()
}

#[tokio::test]
async fn an_event_is_tried_ten_times_over_three_days_and_then_given_up() {
    let app =
        TestApp::start_with(|settings| settings.webhooks.webhooks_disable_after_days = 30).await;
    let owner = lasting_owner(&app).await;
    let endpoint = listen(&app, &owner, "/a").await;
    app.simulators.sink.reply("/a", 503);
    let began = app.clock.now();
    happen(&app, &owner, 1).await;
    app.run_jobs().await;

    let mut pauses = vec![];
    while let Some(next) = next(&app).await {
        pauses.push((next - app.clock.now()).num_seconds());
        advance_to_next(&app).await;
    }

    assert_eq!(app.simulators.sink.received("/a").len(), 10);
    let least = [5, 25, 125, 625, 3125, 15_625, 78_125, 86_400, 86_400];
    for (pause, least) in pauses.iter().zip(least) {
        // The endpoint's own pause may be the longer one at first.
        assert!((least..=least * 6 / 5 + 20).contains(pause), "{pauses:?}");
    }
    assert_ne!(pauses, least, "nothing was drawn by lot");
    assert!(app.clock.now() - began > TimeDelta::days(3));
    let list = owner.get(&format!("{}/deliveries?status=failed", path(&endpoint))).await.ok();
    assert_eq!(list["items"][0]["attempts"], json!(10));
    let log = owner.get(&format!("{}/attempts?limit=100", path(&endpoint))).await.ok();
    assert_eq!(log["items"].as_array().unwrap().len(), 10);
    let ids: Vec<_> = app.simulators.sink.received("/a");
    assert!(ids.iter().all(|it| it.headers["webhook-id"] == ids[0].headers["webhook-id"]));
}

#[tokio::test]
async fn an_endpoint_that_is_down_for_three_days_is_disabled_and_its_people_are_told_once() {
    let app = TestApp::start().await;
    let owner = lasting_owner(&app).await;
    let endpoint = listen(&app, &owner, "/a").await;
    let other = listen(&app, &owner, "/b").await;
    app.simulators.sink.reply("/a", 500);
    let began = app.clock.now();
    while owner.get(&path(&endpoint)).await.ok()["enabled"] == json!(true) {
        happen(&app, &owner, 1).await;
        deliver(&app).await;
        app.advance(TimeDelta::hours(5));
        assert!(app.clock.now() - began < TimeDelta::days(4), "it is never disabled");
    }
    assert!(app.clock.now() - began > TimeDelta::days(3));
    app.run_jobs().await;
    let (warned, disabled) =
        (mails(&app, &owner, "yours fails"), mails(&app, &owner, "was disabled"));
    assert_eq!((warned, disabled), (1, 1));
    assert_eq!(owner.get(&path(&endpoint)).await.ok()["disabled_reason"], json!("failing"));
    let log = owner.get("/v1/audit-log?action=webhook_endpoint.disabled").await.ok();
    assert_eq!(log["items"].as_array().unwrap().len(), 1);

    // The other one missed nothing and has no part in it.
    let happened = count(&app, "select count(*) from webhook_events").await;
    assert_eq!(app.simulators.sink.received("/b").len(), usize::try_from(happened).unwrap());
    assert_eq!(owner.get(&path(&other)).await.ok()["failing_since"], json!(null));

    // What happens meanwhile is kept; enabled again, it is sent, and everything else can be sent again.
    let before = app.simulators.sink.received("/a").len();
    happen(&app, &owner, 2).await;
    deliver(&app).await;
    assert_eq!(app.simulators.sink.received("/a").len(), before);
    app.simulators.sink.reply("/a", 200);
    owner.patch(&path(&endpoint), json!({ "enabled": true })).await.ok();
    app.run_jobs().await;
    owner.post(&format!("{}/replays", path(&endpoint)), json!({})).await.ok();
    app.run_jobs().await;
    let left = "select count(*) from webhook_deliveries where status <> 'delivered'";
    assert_eq!(count(&app, left).await, 0);
}

#[tokio::test]
async fn an_endpoint_that_says_it_is_gone_is_disabled_at_once_and_loses_nothing() {
    let app = TestApp::start().await;
    let owner = lasting_owner(&app).await;
    let endpoint = listen(&app, &owner, "/a").await;
    app.simulators.sink.reply("/a", 410);
    happen(&app, &owner, 1).await;
    app.run_jobs().await;
    let shown = owner.get(&path(&endpoint)).await.ok();
    assert_eq!((&shown["enabled"], &shown["disabled_reason"]), (&json!(false), &json!("gone")));
    assert_eq!(mails(&app, &owner, "was disabled"), 1);
    app.advance(TimeDelta::days(1));
    deliver(&app).await;
    assert_eq!(app.simulators.sink.received("/a").len(), 1);

    app.simulators.sink.reply("/a", 204);
    owner.patch(&path(&endpoint), json!({ "enabled": true })).await.ok();
    app.run_jobs().await;
    assert_eq!(app.simulators.sink.received("/a").len(), 2);
    assert_eq!(
        count(&app, "select count(*) from webhook_deliveries where status = 'delivered'").await,
        1
    );
}

#[tokio::test]
async fn events_of_a_disabled_endpoint_are_kept_and_sent_when_it_is_enabled() {
    let app = TestApp::start().await;
    let owner = lasting_owner(&app).await;
    let endpoint = listen(&app, &owner, "/a").await;
    owner.patch(&path(&endpoint), json!({ "enabled": false })).await.ok();
    happen(&app, &owner, 20).await;
    app.advance(TimeDelta::days(7));
    deliver(&app).await;
    assert_eq!(app.simulators.sink.received("/a").len(), 0);

    owner.patch(&path(&endpoint), json!({ "enabled": true })).await.ok();
    app.run_jobs().await;

    assert_eq!(app.simulators.sink.received("/a").len(), 20);
}

#[tokio::test]
async fn whoever_asks_to_be_left_alone_is() {
    let app = TestApp::start().await;
    let owner = lasting_owner(&app).await;
    listen(&app, &owner, "/a").await;
    let headers = vec![("retry-after", "7200".to_owned())];
    app.simulators.sink.reply_with("/a", Reply { status: 429, headers, body: String::new() });
    happen(&app, &owner, 1).await;
    app.run_jobs().await;
    app.simulators.sink.reply("/a", 200);
    app.advance(TimeDelta::seconds(7199));
    happen(&app, &owner, 1).await;
    deliver(&app).await;
    assert_eq!(app.simulators.sink.received("/a").len(), 1, "nothing else is sent either");
    app.advance(TimeDelta::seconds(1));
    deliver(&app).await;
    assert_eq!(app.simulators.sink.received("/a").len(), 3);
}

#[tokio::test]
async fn one_event_that_is_not_taken_holds_up_no_other() {
    let app = TestApp::start().await;
    let owner = lasting_owner(&app).await;
    listen(&app, &owner, "/a").await;
    app.simulators.sink.reply("/a", 400);
    happen(&app, &owner, 1).await;
    app.run_jobs().await;
    app.simulators.sink.reply("/a", 200);
    happen(&app, &owner, 10).await;
    app.run_jobs().await;
    assert_eq!(app.simulators.sink.received("/a").len(), 11);
    assert_eq!(
        count(&app, "select count(*) from webhook_deliveries where status = 'pending'").await,
        1
    );
}

#[tokio::test]
async fn a_dead_endpoint_is_asked_with_one_event_at_a_time_until_it_lives_again() {
    let app = TestApp::start().await;
    let owner = lasting_owner(&app).await;
    listen(&app, &owner, "/a").await;
    app.simulators.sink.reply("/a", 500);
    happen(&app, &owner, 100).await;
    app.run_jobs().await;
    let first = app.simulators.sink.received("/a").len();
    assert!((3..=7).contains(&first), "{first} of 100 were sent to an endpoint that takes none");
    for probes in 1..=5 {
        assert!(advance_to_next(&app).await);
        assert_eq!(app.simulators.sink.received("/a").len(), first + probes);
    }
    app.simulators.sink.reply("/a", 200);
    assert!(advance_to_next(&app).await);
    app.advance(TimeDelta::hours(6));
    deliver(&app).await;
    let delivered = "select count(*) from webhook_deliveries where status = 'delivered'";
    assert_eq!(count(&app, delivered).await, 100);
}
