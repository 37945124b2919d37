use serde_json::json;
use simulators::sink::Reply;
use testing::TestApp;

use crate::{count, deliver, execute, happen, listen, path, taken_over, value};

#[tokio::test]
async fn a_redirection_is_a_failure_and_is_not_followed() {
    for status in [301, 302, 307, 308] {
        let app = TestApp::start().await;
        let owner = app.owner().await;
        let endpoint = listen(&app, &owner, "/a").await;
        let location = format!("{}/inside", app.simulators.sink.url());
        let reply = Reply { status, headers: vec![("location", location)], body: String::new() };
        app.simulators.sink.reply_with("/a", reply);
        happen(&app, &owner, 1).await;
        app.run_jobs().await;

        assert_eq!(app.simulators.sink.received("/inside").len(), 0, "{status}");
        let log = owner.get(&format!("{}/attempts", path(&endpoint))).await.ok();
        assert_eq!(log["items"][0]["status"], json!(status));
        assert_eq!(log["items"][0]["error"], json!("redirections are not followed"));
        let pending = "select count(*) from webhook_deliveries where status = 'pending'";
        assert_eq!(count(&app, pending).await, 1);
    }
}

#[tokio::test]
async fn an_address_that_turned_private_is_not_called_and_the_log_says_blocked() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let endpoint = listen(&app, &owner, "/a").await;
    for url in ["http://10.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[::]/"] {
        let change = sqlx::query("update webhook_endpoints set url = $1, paused_until = null");
        change.bind(url).execute(app.db.pool()).await.unwrap();
        happen(&app, &owner, 1).await;
        app.run_jobs().await;
        let log = owner.get(&format!("{}/attempts?limit=1", path(&endpoint))).await.ok();
        let error = log["items"][0]["error"].as_str().unwrap();
        assert_eq!(error, "blocked: the host of the URL is not public", "{url}");
    }
}

#[tokio::test]
async fn an_answer_is_kept_in_part_and_as_text_whatever_it_is() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    listen(&app, &owner, "/a").await;
    let body = format!("\0\u{1b}[31m{}", "é".repeat(100_000));
    app.simulators.sink.reply_with("/a", Reply { status: 500, headers: vec![], body });
    happen(&app, &owner, 1).await;
    app.run_jobs().await;
    let kept = value(&app, "select response from webhook_attempts").await.unwrap();
    assert!(kept.len() <= 1100, "{}", kept.len());
    assert!(kept.chars().all(|it| !it.is_control()), "{kept:?}");
}

#[tokio::test]
async fn nobody_who_does_not_answer_in_time_is_waited_for() {
    let app = TestApp::start_with(|settings| settings.webhooks.webhooks_timeout_seconds = 1).await;
    let owner = app.owner().await;
    let endpoint = listen(&app, &owner, "/a").await;
    app.simulators.sink.hold("/a");
    happen(&app, &owner, 1).await;
    app.run_jobs().await;
    let log = owner.get(&format!("{}/attempts", path(&endpoint))).await.ok();
    assert_eq!(log["items"][0]["status"], json!(null));
    assert_eq!(log["items"][0]["error"], json!("there was no whole answer in time"));
    assert!(log["items"][0]["duration_ms"].as_i64().unwrap() >= 1000);
    app.simulators.sink.release("/a");
}

#[tokio::test]
async fn old_events_are_deleted_with_all_that_belongs_to_them() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    listen(&app, &owner, "/a").await;
    happen(&app, &owner, 3).await;
    app.run_jobs().await;
    app.advance(chrono::TimeDelta::days(29));
    happen(&app, &owner, 1).await;
    deliver(&app).await;
    app.webhooks.drop_old_events().await.unwrap();
    assert_eq!(count(&app, "select count(*) from webhook_events").await, 4);

    app.advance(chrono::TimeDelta::days(2));
    app.webhooks.drop_old_events().await.unwrap();

    for table in [
        "select count(*) from webhook_events",
        "select count(*) from webhook_deliveries",
        "select count(*) from webhook_attempts",
    ] {
        assert_eq!(count(&app, table).await, 1, "{table}");
    }
}

#[tokio::test]
async fn an_attempt_that_was_taken_up_again_does_not_overwrite_what_came_of_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    listen(&app, &owner, "/a").await;
    app.simulators.sink.hold("/a");
    happen(&app, &owner, 1).await;
    let running = async { app.run_jobs().await };
    let meanwhile = async {
        app.simulators.sink.wait_for("/a", 1).await;
        // Another process thought this one dead.
        taken_over(&app).await;
        execute(
            &app,
            "update webhook_deliveries d set attempts = d.attempts + 1, lane = n.lane
             from webhook_endpoints n",
        )
        .await;
        app.simulators.sink.reply("/a", 500);
        app.simulators.sink.release("/a");
    };
    tokio::join!(running, meanwhile);
    let due = "select count(*) from webhook_deliveries
               where status = 'pending' and attempts = 2 and lane is not null and due_at = created_at";
    assert_eq!(count(&app, due).await, 1, "it is the other's");
    assert_eq!(count(&app, "select count(*) from webhook_attempts").await, 1, "but it is known");
}
