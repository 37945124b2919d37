use futures::future::join_all;
use serde_json::{Value, json};
use testing::{Client, TestApp, in_time};

use crate::{answer, open, run};

const FEED: &str = "/v1/me/notifications";

async fn announce(operator: &Client, title: &str, mailed: bool) -> Value {
    let input = json!({ "title": title, "text": "It is there.\n\nTry it.", "mailed": mailed });
    operator.post("/admin/v1/announcements", input).await.ok()
}

/// The next events of a stream, until there are `n`.
async fn events(client: &Client, seen: Option<i64>, n: usize) -> Vec<(i64, Value)> {
    let client = match seen {
        Some(seen) => client.header("last-event-id", &seen.to_string()),
        None => client.clone(),
    };
    let path = format!("{FEED}/events");
    let mut response = client.request(http::Method::GET, &path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut text = String::new();
    let read = async {
        while text.matches("data:").count() < n || !text.ends_with("\n\n") {
            text.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
        }
    };
    in_time("events", read).await;
    let event = |text: &str| {
        let field = |name: &str| text.lines().find_map(|it| it.strip_prefix(name)).unwrap().trim();
        assert_eq!(field("event:"), "notification");
        (field("id:").parse().unwrap(), serde_json::from_str(field("data:")).unwrap())
    };
    text.split("\n\n").filter(|it| it.contains("data:")).map(event).collect()
}

/// Rows 357 and 395.
#[tokio::test]
async fn an_announcement_reaches_everybody_once_and_by_mail_those_who_want_it() {
    let app = TestApp::start().await;
    let (ada, bob, operator) = (app.owner().await, app.owner().await, app.operator().await);
    bob.patch("/v1/me/email-preferences", json!({ "news": false })).await.ok();
    let news = announce(&operator, "New editor", true).await;
    app.run_jobs().await;
    let again = json!({ "announcement": news["id"], "after": null });
    sqlx::query("select from graphile_worker.add_job('support.announce', $1::json)")
        .bind(json!({ "job": again }))
        .execute(app.db.pool())
        .await
        .unwrap();
    app.run_jobs().await;

    for person in [&ada, &bob] {
        let feed = person.get(FEED).await.ok();
        assert_eq!(feed["items"].as_array().unwrap().len(), 1, "once: {feed}");
        assert_eq!(feed["items"][0]["announcement_id"], news["id"]);
    }
    let mails = |to: &Client| {
        let all = app.simulators.mailbox.messages_to(&to.email);
        all.iter().filter(|it| it.text.as_ref().unwrap().contains("Try it.")).count()
    };
    assert_eq!((mails(&ada), mails(&bob)), (1, 0));
    let banner = app.anonymous().get("/v1/announcements").await.ok();
    assert_eq!(banner["items"][0]["title"], "New editor");

    let path = format!("/admin/v1/announcements/{}", news["id"].as_str().unwrap());
    assert_eq!(operator.delete(&path).await.status, 204);
    assert_eq!(app.anonymous().get("/v1/announcements").await.ok()["items"], json!([]));
    assert_eq!(ada.get(FEED).await.ok()["items"], json!([]), "it is gone from feeds");
    assert_eq!(operator.get("/admin/v1/announcements").await.ok()["items"][0]["id"], news["id"]);
    for action in ["announcement.published", "announcement.withdrawn"] {
        let log = operator.get(&format!("/admin/v1/audit-log?action={action}")).await.ok();
        assert_eq!(log["items"][0]["subject"], news["id"], "{log}");
    }
    let unknown = operator.delete("/admin/v1/announcements/0198c3f0-5a4e-7cc2-8a51-2b8f3a6e9d01");
    assert_eq!(unknown.await.problem(), (404, "announcement_not_found".into()));
    let past = json!({ "title": "x", "text": "x", "ends_at": "2020-01-01T00:00:00Z" });
    assert_eq!(operator.post("/admin/v1/announcements", past).await.problem().0, 422);
}

#[tokio::test]
async fn one_that_is_withdrawn_before_it_went_out_reaches_nobody() {
    let app = TestApp::start().await;
    let (ada, operator) = (app.owner().await, app.operator().await);
    let news = announce(&operator, "A mistake", true).await;
    let path = format!("/admin/v1/announcements/{}", news["id"].as_str().unwrap());
    operator.delete(&path).await;
    app.run_jobs().await;
    assert_eq!(ada.get(FEED).await.ok()["items"], json!([]));
    assert_eq!(app.simulators.mailbox.messages_to(&ada.email).len(), 0);
}

#[tokio::test]
async fn read_is_what_was_marked_and_what_comes_later_is_not() {
    let app = TestApp::start().await;
    let (ada, bob, operator) = (app.owner().await, app.owner().await, app.operator().await);
    for title in ["One", "Two", "Three"] {
        announce(&operator, title, false).await;
        app.run_jobs().await;
    }
    assert_eq!(ada.get(FEED).await.ok()["unread"], 3);
    let page = ada.get(&format!("{FEED}?limit=2")).await.ok();
    let titles = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|it| it["title"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(titles(&page), ["Three", "Two"]);
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(titles(&ada.get(&format!("{FEED}?cursor={cursor}")).await.ok()), ["One"]);

    ada.put(&format!("{FEED}/read-mark"), json!({ "number": 2 })).await;
    assert_eq!(titles(&ada.get(&format!("{FEED}?unread=true")).await.ok()), ["Three"]);
    let one = ada.patch(&format!("{FEED}/1"), json!({ "read": false })).await.ok();
    assert_eq!(one["read_at"], Value::Null);
    assert_eq!(titles(&ada.get(&format!("{FEED}?unread=true")).await.ok()), ["Three", "One"]);
    assert_eq!(bob.get(FEED).await.ok()["unread"], 3, "everybody reads for themselves");
    let none = ada.patch(&format!("{FEED}/4"), json!({ "read": true })).await;
    assert_eq!(none.problem(), (404, "notification_not_found".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_misses_nothing_that_was_told_at_the_same_time() {
    let app = TestApp::start().await;
    let (ada, operator) = (app.owner().await, app.operator().await);
    let ticket = open(&ada, "Help").await;
    answer(&operator, &ticket, "First").await;
    let following = tokio::spawn({
        let ada = ada.clone();
        async move { events(&ada, Some(1), 8).await }
    });
    join_all((0..8).map(|_| answer(&operator, &ticket, "And"))).await;

    let numbers = |events: &[(i64, Value)]| events.iter().map(|it| it.0).collect::<Vec<_>>();
    assert_eq!(numbers(&following.await.unwrap()), [2, 3, 4, 5, 6, 7, 8, 9]);
    let rest = events(&ada, Some(7), 2).await;
    assert_eq!(numbers(&rest), [8, 9]);
    assert_eq!(rest[0].1["title"], "Your ticket was answered");
    let bad = ada.header("last-event-id", "soon").get(&format!("{FEED}/events")).await;
    assert_eq!(bad.problem(), (400, "invalid_header".into()));
}

#[tokio::test]
async fn more_followers_than_may_be_are_refused_for_a_while() {
    let app = TestApp::start_with(|it| it.support.notifications_followers = 1).await;
    let ada = app.owner().await;
    let path = format!("{FEED}/events");
    let first = ada.request(http::Method::GET, &path).send().await.unwrap();
    assert_eq!(first.status(), 200);
    let second = ada.get(&path).await;
    assert!(second.header("retry-after").is_some());
    assert_eq!(second.problem(), (503, "too_many_followers".into()));
}

#[tokio::test]
async fn notifications_are_kept_for_so_long_and_numbers_go_on() {
    let app = TestApp::start().await;
    let (ada, operator) = (app.owner().await, app.operator().await);
    announce(&operator, "Old", false).await;
    app.run_jobs().await;
    app.advance(chrono::TimeDelta::days(181));
    run(&app, "support.purge").await;
    let rows: i64 = sqlx::query_scalar("select count(*) from notifications")
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    assert_eq!(rows, 0);
    let last: i64 = sqlx::query_scalar("select last from notification_feeds where user_id = $1")
        .bind(ada.user())
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    assert_eq!(last, 1, "who comes back with a number must not be told older ones");
}
