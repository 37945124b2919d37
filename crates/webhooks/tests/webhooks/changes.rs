//! Endpoints that are changed while something is under way to them.

use serde_json::json;
use testing::TestApp;
use webhooks::{Secret, signature};

use crate::{count, deliver, happen, listen, path, value};

#[tokio::test]
async fn what_waits_goes_to_the_new_url_and_what_the_old_one_answers_is_not_held_against_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let endpoint = listen(&app, &owner, "/old").await;
    app.simulators.sink.hold("/old");
    app.simulators.sink.reply("/old", 410);
    happen(&app, &owner, 12).await;
    let meanwhile = async {
        app.simulators.sink.wait_for("/old", 5).await;
        let url = format!("{}/new", app.simulators.sink.url());
        owner.patch(&path(&endpoint), json!({ "url": url })).await.ok();
        app.simulators.sink.release("/old");
    };
    tokio::join!(app.run_jobs(), meanwhile);
    deliver(&app).await;

    assert_eq!(app.simulators.sink.received("/old").len(), 5, "none after the change");
    assert_eq!(app.simulators.sink.received("/new").len(), 12);
    assert_eq!(owner.get(&path(&endpoint)).await.ok()["enabled"], json!(true));
    let failures = "select failures::text from webhook_endpoints";
    assert_eq!(value(&app, failures).await.unwrap(), "0");
}

#[tokio::test]
async fn a_change_of_url_gives_another_chance_at_once_to_what_had_failed_also_beside_what_is_under_way()
 {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let endpoint = listen(&app, &owner, "/old").await;
    app.simulators.sink.reply("/old", 500);
    happen(&app, &owner, 1).await;
    app.run_jobs().await;
    app.simulators.sink.hold("/old");
    happen(&app, &owner, 1).await;
    let meanwhile = async {
        app.simulators.sink.wait_for("/old", 2).await;
        let url = format!("{}/new", app.simulators.sink.url());
        owner.patch(&path(&endpoint), json!({ "url": url })).await.ok();
        let fresh = "select count(*) from webhook_deliveries where attempts = 0";
        assert_eq!(count(&app, fresh).await, 1, "the one that waited for its second attempt");
        let under_way = "select count(*) from webhook_deliveries where attempts = 1";
        assert_eq!(count(&app, under_way).await, 1, "and not the other");
        app.simulators.sink.release("/old");
    };
    tokio::join!(app.run_jobs(), meanwhile);
    assert_eq!(app.simulators.sink.received("/new").len(), 1);
}

#[tokio::test]
async fn a_rotation_counts_for_everything_that_was_not_sent_yet() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let endpoint = listen(&app, &owner, "/a").await;
    app.simulators.sink.hold("/a");
    happen(&app, &owner, 8).await;
    let meanwhile = async {
        app.simulators.sink.wait_for("/a", 5).await;
        let rotations = format!("{}/rotations", path(&endpoint));
        let rotated = owner.post(&rotations, json!({ "overlap_seconds": 0 })).await.ok();
        app.simulators.sink.release("/a");
        Secret::read(rotated["secret"].as_str().unwrap()).unwrap()
    };
    let ((), secret) = tokio::join!(app.run_jobs(), meanwhile);
    deliver(&app).await;

    let received = app.simulators.sink.received("/a");
    assert_eq!(received.len(), 8);
    for late in &received[5..] {
        let timestamp = late.headers["webhook-timestamp"].parse().unwrap();
        let new = std::slice::from_ref(&secret);
        let signed = signature(new, &late.headers["webhook-id"], timestamp, &late.body);
        assert_eq!(late.headers["webhook-signature"], signed);
    }
}

#[tokio::test]
async fn what_is_under_way_is_not_replayed_and_what_waits_for_another_attempt_is() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let endpoint = listen(&app, &owner, "/a").await;
    let replays = format!("{}/replays", path(&endpoint));
    app.simulators.sink.hold("/a");
    app.simulators.sink.reply("/a", 500);
    happen(&app, &owner, 1).await;
    let meanwhile = async {
        let sent = app.simulators.sink.wait_for("/a", 1).await;
        let one = json!({ "event_id": sent[0].headers["webhook-id"] });
        let replayed = owner.post(&replays, one.clone()).await.ok();
        assert_eq!(replayed["events"], json!(0));
        app.simulators.sink.release("/a");
        one
    };
    let ((), one) = tokio::join!(app.run_jobs(), meanwhile);
    assert_eq!(app.simulators.sink.received("/a").len(), 1);

    app.simulators.sink.reply("/a", 200);
    assert_eq!(owner.post(&replays, one).await.ok()["events"], json!(1));
    app.run_jobs().await;
    let delivered = "select count(*) from webhook_deliveries where status = 'delivered'";
    assert_eq!(count(&app, delivered).await, 1);
}
