use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use serde_json::json;
use testing::{Client, TestApp};

use crate::{make, names, path};

/// All names, page by page.
async fn paged(client: &Client, query: &str) -> Vec<String> {
    let (mut all, mut next) = (Vec::new(), format!("/v1/projects?limit=2&{query}"));
    loop {
        let page = client.get(&next).await.ok();
        let items = page["items"].as_array().unwrap();
        all.extend(items.iter().map(|it| it["name"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { return all };
        next = format!("/v1/projects?limit=2&{query}&cursor={cursor}");
    }
}

#[tokio::test]
async fn pages_show_every_project_once_the_newest_first() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for name in ["a", "b", "c", "d", "e"] {
        make(&owner, name, json!({})).await;
    }
    assert_eq!(paged(&owner, "").await, ["e", "d", "c", "b", "a"]);
}

#[tokio::test]
async fn pages_keep_to_every_order() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for name in ["b", "D", "a", "2026-01-01T00:00:00Z", "c"] {
        make(&owner, name, json!({})).await;
        app.advance(TimeDelta::seconds(1));
    }
    let first = owner.get("/v1/projects?sort=name&limit=2").await.ok()["items"][1].clone();
    owner.patch(&path(&first), json!({ "text": "changed" })).await.ok();

    let names = ["2026-01-01T00:00:00Z", "a", "b", "c", "D"];
    assert_eq!(paged(&owner, "sort=name").await, names);
    let reverse: Vec<_> = names.into_iter().rev().collect();
    assert_eq!(paged(&owner, "sort=name&order=desc").await, reverse);
    let made = ["b", "D", "a", "2026-01-01T00:00:00Z", "c"];
    assert_eq!(paged(&owner, "sort=created_at&order=asc").await, made);
    let changed = ["a", "c", "2026-01-01T00:00:00Z", "D", "b"];
    assert_eq!(paged(&owner, "sort=updated_at").await, changed);

    let page = owner.get("/v1/projects?sort=name&limit=1").await.ok();
    let cursor = page["next_cursor"].as_str().unwrap();
    let reply = owner.get(&format!("/v1/projects?cursor={cursor}")).await;
    assert_eq!(reply.problem(), (400, "invalid_cursor".into()), "it is of another order");
    let page = owner.get("/v1/projects?sort=created_at&limit=1").await.ok();
    let cursor = page["next_cursor"].as_str().unwrap();
    let reply = owner.get(&format!("/v1/projects?sort=updated_at&cursor={cursor}")).await;
    assert_eq!(reply.problem(), (400, "invalid_cursor".into()), "times are of two orders");
    let before_time = json!({
        "sorted_by": { "CreatedAt": "-200000-01-01T00:00:00Z" }, "id": uuid::Uuid::now_v7(),
    });
    let cursor = BASE64_URL_SAFE_NO_PAD.encode(before_time.to_string());
    let reply = owner.get(&format!("/v1/projects?cursor={cursor}")).await;
    assert_eq!(
        reply.problem(),
        (400, "invalid_cursor".into()),
        "a time that Postgres does not know"
    );
}

#[tokio::test]
async fn words_are_found_in_names_and_texts_and_the_last_as_a_beginning() {
    let app = TestApp::start().await;
    let (owner, other) = (app.owner().await, app.owner().await);
    make(&owner, "Apollo 11", json!({ "text": "Three men flew to the Moon" })).await;
    make(&owner, "Gemini", json!({ "text": "Write to ada@example.com, before the moonlight" }))
        .await;
    make(&other, "Apollo of others", json!({})).await;
    let find = async |q: &str| names(&owner, &format!("/v1/projects?sort=name&q={q}")).await;

    assert_eq!(find("apollo").await, ["Apollo 11"]);
    assert_eq!(find("MOO").await, ["Apollo 11", "Gemini"]);
    assert_eq!(find("moon%20th").await, ["Apollo 11"], "the first word is whole");
    assert_eq!(find("ada@exam").await, ["Gemini"]);
    assert_eq!(find("apollo%20gemini").await, [""; 0], "all words");
    assert_eq!(find("%20").await, ["Apollo 11", "Gemini"], "no word at all");
    for odd in ["'", "%5C", "a'%20%26%20!b", ":*", "(", "%26", "%00", "%F0%9F%8C%99", "!%7C"] {
        find(odd).await;
    }
    let long = "x".repeat(201);
    assert_eq!(owner.get(&format!("/v1/projects?q={long}")).await.problem().0, 422);
}

#[tokio::test]
async fn words_and_orders_have_an_index() {
    let app = TestApp::start().await;
    let (owner, other) = (app.owner().await, app.owner().await);
    for client in [&owner, &other] {
        sqlx::query(
            "insert into projects (id, org_id, name, text, created_at, updated_at)
             select gen_random_uuid(), $1, 'Rocket ' || n, repeat('nothing ', 100), now(), now()
             from generate_series(1, 10000) n",
        )
        .bind(client.org())
        .execute(app.db.pool())
        .await
        .unwrap();
    }
    sqlx::query("analyze projects").execute(app.db.pool()).await.unwrap();
    let words = "search @@ to_tsquery('simple', 'rocket & 7777:*') limit 201";
    let plan = plan_of(&app, &owner, words).await;
    assert!(plan.contains("projects_by_words"), "{plan}");
    for (order, index) in [
        ("created_at", "projects_by_creation"),
        ("updated_at", "projects_by_update"),
        ("name_key", "projects_by_name"),
    ] {
        let plan = plan_of(&app, &owner, &format!("true order by {order}, id limit 21")).await;
        assert!(plan.contains(index) && !plan.contains("Sort"), "{order}: {plan}");
    }

    let find = async |q: &str| names(&owner, &format!("/v1/projects?limit=100&{q}")).await.len();
    assert_eq!(find("q=rocket%2077").await, 100);
    assert_eq!(find("q=rocket%207777").await, 1);
    assert_eq!(find("q=roc&sort=name").await, 100);
}

/// How the database finds projects of an org, in a table larger than that of the test.
async fn plan_of(app: &TestApp, client: &Client, condition: &str) -> String {
    let mut tx = app.db.begin().await.unwrap();
    sqlx::query("set local enable_seqscan = off").execute(&mut *tx).await.unwrap();
    let org = client.org();
    let explain = format!("explain select id from projects where org_id = '{org}' and {condition}");
    let plan = sqlx::query_scalar(sqlx::AssertSqlSafe(explain)).fetch_all(&mut *tx);
    let plan: Vec<String> = plan.await.unwrap();
    plan.join("\n")
}

#[tokio::test]
async fn a_list_tells_what_was_spent_on_each() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (dear, cheap) =
        (make(&owner, "Dear", json!({})).await, make(&owner, "Cheap", json!({})).await);
    let chat = json!({
        "model": "gpt-4o-mini", "max_tokens": 10, "messages": [{ "role": "user", "content": "hi" }],
    });
    let called = owner.header("x-slipway-project", dear["id"].as_str().unwrap());
    for _ in 0..2 {
        called.post("/v1/chat/completions", chat.clone()).await.ok();
        app.quotas.settled().await;
        // Once those of before are rolled up, and once they are not.
        let mut tx = app.db.begin().await.unwrap();
        usage::roll_up(&mut tx, i64::MAX).await.unwrap();
        tx.commit().await.unwrap();
    }
    called.post("/v1/chat/completions", chat).await.ok();
    app.quotas.settled().await;

    let page = owner.get("/v1/projects?sort=name").await.ok();
    assert_eq!((&page["items"][0]["id"], &page["items"][0]["calls"]), (&cheap["id"], &json!(0)));
    assert_eq!((&page["items"][1]["id"], &page["items"][1]["calls"]), (&dear["id"], &json!(3)));
    let report = owner.get("/v1/usage").await.ok();
    assert_eq!(page["items"][1]["cost_nano_usd"], report["total"]["cost_nano_usd"], "{report}");
}

#[tokio::test]
async fn a_list_has_the_beginnings_of_texts_only() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = make(&owner, "Apollo", json!({ "text": "é".repeat(5000) })).await;
    let listed = &owner.get("/v1/projects").await.ok()["items"][0];
    assert_eq!(listed["text"], "é".repeat(200));
    assert_eq!(owner.get(&path(&made)).await.ok()["text"], made["text"]);
}
