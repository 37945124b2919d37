use std::collections::BTreeSet;

use chrono::TimeDelta;
use futures::StreamExt;
use reqwest::Method;
use serde_json::Value;
use testing::{Client, TestApp};

use crate::{call, write};

#[tokio::test]
async fn pages_show_every_call_once_the_newest_first_while_others_end() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    // Several end in the same moment.
    let calls: Vec<_> =
        (0..57).map(|n| call(&app, owner.org(), TimeDelta::minutes(n / 4))).collect();
    write(&app, &calls).await;

    for limit in [1, 7, 20, 56, 57, 100] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/usage/records?limit={limit}{cursor}&model=gpt-4o-mini");
            let page = owner.get(&path).await.ok();
            seen.extend(page["items"].as_array().unwrap().clone());
            // A page that was already read does not move.
            let mut newer = call(&app, owner.org(), TimeDelta::zero());
            newer.model = "newer".into();
            write(&app, &[newer]).await;
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let ids: BTreeSet<&str> = seen.iter().map(|it| it["id"].as_str().unwrap()).collect();
        assert_eq!((seen.len(), ids.len()), (57, 57), "limit {limit}");
        let ended: Vec<&str> = seen.iter().map(|it| it["ended_at"].as_str().unwrap()).collect();
        assert!(ended.is_sorted_by(|a, b| a >= b));
    }
}

#[tokio::test]
async fn pages_that_cannot_be_are_refused() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let get = async |query: &str| owner.get(&format!("/v1/usage/records?{query}")).await.problem();
    assert_eq!(get("cursor=nonsense").await, (400, "invalid_cursor".into()));
    assert_eq!(get("limit=0").await, (422, "invalid_limit".into()));
    assert_eq!(get("limit=101").await, (422, "invalid_limit".into()));
}

#[tokio::test]
async fn an_export_holds_every_call_and_no_name_becomes_a_formula() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let hostile = ["=cmd|' /C calc'!A0", "+1", "@sum", "a,b\"c", "line\r\nbreak", "=1\t"];
    let calls: Vec<_> = (0..2_503_u32)
        .map(|n| {
            let mut call = call(&app, owner.org(), TimeDelta::seconds(n.into()));
            call.model = hostile[n as usize % hostile.len()].into();
            call
        })
        .collect();
    write(&app, &calls).await;

    let reply = owner.get("/v1/usage/export").await;

    assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8"));
    let text = reply.ok_text();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let cost = reader.headers().unwrap().iter().position(|name| name == "cost_usd").unwrap();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2_503);
    let ids: BTreeSet<&str> = rows.iter().map(|row| &row[1]).collect();
    assert_eq!(ids.len(), 2_503);
    for row in &rows {
        assert!(!row.iter().any(|cell| cell.starts_with(['=', '+', '-', '@'])), "{row:?}");
        assert!(hostile.contains(&row[3].trim_start_matches('\'')), "{row:?}");
        assert_eq!(&row[cost], "0.000004500");
    }
}

/// The events of a stream until `enough` says so; the id of the last, and their calls.
async fn events(client: &Client, last: Option<&str>, enough: i64) -> (String, i64) {
    let mut request = client.request(Method::GET, "/v1/usage/events");
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let mut stream = request.send().await.unwrap().bytes_stream();
    let (mut text, mut calls, mut id) = (String::new(), 0, String::new());
    while id.is_empty() || calls < enough {
        text.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
        while let Some(end) = text.find("\n\n") {
            let event: String = text.drain(..end + 2).collect();
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
            if let (Some(new), Some(data)) = (field("id: "), field("data: ")) {
                let data: Value = serde_json::from_str(data).unwrap();
                calls += data["calls"].as_i64().unwrap();
                new.clone_into(&mut id);
            }
        }
    }
    (id, calls)
}

#[tokio::test]
async fn a_stream_that_is_resumed_tells_of_every_call_once() {
    let app = TestApp::start().await;
    let (owner, stranger) = (app.owner().await, app.owner().await);
    let (start, nothing) = events(&owner, None, 0).await;
    assert_eq!(nothing, 0);

    write(&app, &[call(&app, owner.org(), TimeDelta::zero())]).await;
    write(&app, &[call(&app, stranger.org(), TimeDelta::zero())]).await;
    let (seen, calls) = events(&owner, Some(&start), 1).await;
    assert_eq!(calls, 1, "and none of the other org");
    write(&app, &[call(&app, owner.org(), TimeDelta::hours(5))]).await;
    let (_, calls) = events(&owner, Some(&seen), 1).await;
    assert_eq!(calls, 1, "also one that ended long before it was written");

    let (_, all) = events(&owner, Some(&start), 2).await;
    assert_eq!(all, 2, "whoever goes back sees both again");
}

#[tokio::test]
async fn nothing_of_another_org_is_ever_shown() {
    let app = TestApp::start().await;
    let (owner, stranger) = (app.owner().await, app.owner().await);
    let theirs = call(&app, owner.org(), TimeDelta::zero());
    write(&app, std::slice::from_ref(&theirs)).await;
    let cursor = owner.get("/v1/usage/records?limit=1").await.ok();
    assert_eq!(cursor["items"][0]["id"], theirs.id.to_string());

    assert_eq!(stranger.get("/v1/usage").await.ok()["total"]["calls"], 0);
    assert_eq!(stranger.get("/v1/usage?group_by=user").await.ok()["total"]["calls"], 0);
    assert_eq!(stranger.get("/v1/usage/forecast").await.ok()["days"], 0);
    assert_eq!(stranger.get("/v1/usage/records").await.ok()["items"], serde_json::json!([]));
    assert_eq!(stranger.get("/v1/usage/export").await.ok_text().lines().count(), 1);
    let mut tx = app.db.tenant(stranger.org()).await.unwrap();
    for table in ["usage_rollups", "usage_records"] {
        let count = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        let count: i64 = sqlx::query_scalar(count).fetch_one(&mut *tx).await.unwrap();
        assert_eq!(count, 0, "{table}");
    }
}
