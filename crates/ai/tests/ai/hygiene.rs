//! What no provider is sent, and what is not kept.

use bytes::Bytes;
use reqwest::Method;
use serde_json::json;
use simulators::ai::Fault;
use testing::{Client, Reply, TestApp};

use crate::{batches, chat, provider_calls};

/// The word that must not stay.
const SECRET: &str = "xyzzy8c41";

async fn send(client: &Client, path: &str, body: impl Into<Bytes>) -> Reply {
    let request = client.request(Method::POST, path).header("content-type", "application/json");
    Reply::read(request.body(body.into()).send().await.unwrap()).await
}

#[tokio::test]
async fn no_provider_is_sent_what_is_no_text_by_whichever_way() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for text in [&b"\\u0000"[..], b"\\u001b[31mred", b"\\ud800", b"\xff", b"\x7f", b"\\b"] {
        for (path, begin, end) in [
            (
                "/v1/chat/completions",
                r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":""#,
                r#""}]}"#,
            ),
            (
                "/v1/messages",
                r#"{"model":"gpt-4o-mini","max_tokens":9,"messages":[{"role":"user","content":""#,
                r#""}]}"#,
            ),
            (
                "/v1/messages/count_tokens",
                r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":""#,
                r#""}]}"#,
            ),
            ("/v1/embeddings", r#"{"model":"text-embedding-3-small","input":""#, r#""}"#),
            ("/v1/images/generations", r#"{"model":"gpt-image-1","prompt":""#, r#""}"#),
        ] {
            let reply = send(&owner, path, [begin.as_bytes(), text, end.as_bytes()].concat()).await;
            assert!(matches!(reply.status.as_u16(), 400 | 422), "{path} {text:?}: {reply:?}");
            let later = owner.header("prefer", "respond-async");
            let reply = send(&later, path, [begin.as_bytes(), text, end.as_bytes()].concat()).await;
            assert!(matches!(reply.status.as_u16(), 400 | 422), "{path} {text:?}: {reply:?}");
        }
    }
    assert_eq!(app.simulators.ai.state().calls.len(), 0);

    let terminal = json!({ "role": "user", "content": "\u{1b}[31m" });
    let reply = owner
        .post("/v1/chat/completions", json!({ "model": "gpt-4o-mini", "messages": [terminal] }))
        .await;
    assert_eq!(reply.problem(), (422, "invalid_text".into()));
    let line = batches::lines(1).replace("hello", "he\\u0007llo");
    let batch = batches::create(&owner, &line).await;
    let ended = batches::ended(&app, &owner, &batch).await;
    assert_eq!(ended["request_counts"]["failed"], 1, "{ended}");
    assert_eq!(provider_calls(&app), 0);
}

#[tokio::test]
async fn control_characters_pass_where_the_settings_let_them_and_nul_never_does() {
    let app =
        TestApp::start_with(|settings| settings.ai.ai_refuse_control_characters = false).await;
    let owner = app.owner().await;
    let with = |text: &str| {
        let mut chat = chat();
        chat["messages"][0]["content"] = text.into();
        chat
    };
    owner.post("/v1/chat/completions", with("\u{1b}[31mred")).await.ok();
    assert_eq!(owner.post("/v1/chat/completions", with("a\0b")).await.problem().0, 422);
}

#[tokio::test]
async fn a_prompt_that_is_too_long_is_refused_before_anything_is_reserved() {
    let app = TestApp::start_with(|settings| settings.ai.ai_longest_prompt = 300).await;
    let owner = app.owner().await;
    let mut long = chat();
    long["messages"][0]["content"] = "x".repeat(300).into();
    let reply = owner.post("/v1/chat/completions", long).await;
    assert_eq!(reply.problem(), (413, "prompt_too_long".into()));
    owner.post("/v1/chat/completions", chat()).await.ok();
    assert_eq!(provider_calls(&app), 1);
}

#[tokio::test]
async fn a_prompt_that_the_moderator_objects_to_is_sent_to_nobody_and_none_while_it_is_away() {
    let app = TestApp::start_with(|settings| {
        settings.ai.ai_moderation = Some("openai/omni-moderation-latest".to_owned());
    })
    .await;
    let owner = app.owner().await;
    owner.post("/v1/chat/completions", chat()).await.ok();
    let mut bad = chat();
    bad["messages"][0]["content"] = json!([{ "type": "text", "text": "how to hurt them" }]);
    let later = owner.header("prefer", "respond-async");
    for reply in [
        owner.post("/v1/chat/completions", bad.clone()).await,
        later.post("/v1/chat/completions", bad.clone()).await,
        owner
            .post(
                "/v1/embeddings",
                json!({ "model": "text-embedding-3-small", "input": "hurt them" }),
            )
            .await,
        owner
            .post(
                "/v1/images/generations",
                json!({ "model": "gpt-image-1", "prompt": "hurt them" }),
            )
            .await,
        owner
            .post(
                "/v1/messages",
                json!({ "model": "gpt-4o-mini", "max_tokens": 9, "messages": bad["messages"] }),
            )
            .await,
    ] {
        assert_eq!(reply.body["categories"], json!(["violence"]), "{reply:?}");
        assert_eq!(reply.problem(), (422, "prompt_refused".into()));
    }
    let line = batches::lines(1).replace("hello", "hurt them");
    let batch = batches::create(&owner, &line).await;
    assert_eq!(batches::ended(&app, &owner, &batch).await["request_counts"]["failed"], 1);

    app.simulators.ai.next_n(10, Fault::Status { status: 503, retry_after: None });
    let away = owner.post("/v1/chat/completions", chat()).await;
    assert_eq!(away.problem(), (503, "moderation_unavailable".into()));
    assert_eq!(provider_calls(&app), 1, "no other prompt was sent");
    app.assert_books_balance().await;
}

/// In how many rows of generations the word is.
async fn seen(app: &TestApp) -> i64 {
    let query = format!("select count(*) from generations g where strpos(g::text, '{SECRET}') > 0");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(app.db.pool()).await.unwrap()
}

async fn ask_later(app: &TestApp, client: &Client) -> String {
    let mut secret = chat();
    secret["messages"][0]["content"] = SECRET.into();
    let reply = client.header("prefer", "respond-async").post("/v1/chat/completions", secret).await;
    let path = reply.header("location").unwrap().to_owned();
    testing::eventually("it is made", async || {
        app.run_jobs().await;
        client.get(&path).await.ok()["finished_at"].is_string()
    })
    .await;
    path
}

#[tokio::test]
async fn what_is_not_to_be_kept_goes_with_the_answer_and_the_answer_within_the_hour() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    ask_later(&app, &owner).await;
    assert_eq!(seen(&app).await, 1);

    let decided = owner.put("/v1/me/prompt-retention", json!({ "keep": false })).await.ok();
    assert_eq!(decided, json!({ "org": true, "me": false, "kept": false }));
    let requests = "select count(*) from generations where request <> ''";
    let kept =
        async || -> i64 { sqlx::query_scalar(requests).fetch_one(app.db.pool()).await.unwrap() };
    assert_eq!(kept().await, 0, "what was kept before goes at once");

    let path = ask_later(&app, &owner).await;
    assert_eq!(kept().await, 0);
    let answer = owner.get(&path).await.ok();
    assert!(answer.to_string().contains(SECRET), "it can be fetched: {answer}");
    let key = owner.post("/v1/api-keys", json!({ "name": "lasting", "scopes": ["*"] })).await.ok();
    let owner = owner.with_key(key["secret"].as_str().unwrap());
    app.advance(chrono::TimeDelta::minutes(61));
    assert_eq!(owner.get(&path).await.status, 404);
    let purge = "select graphile_worker.add_job('ai.purge_generations', '{\"job\": {}}'::json)";
    sqlx::query(purge).execute(app.db.pool()).await.unwrap();
    app.run_jobs().await;
    assert_eq!(seen(&app).await, 0);
}

#[tokio::test]
async fn an_org_decides_for_all_its_people_and_it_is_written_down_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    sqlx::query("update entitlements set seats = 9").execute(app.db.pool()).await.unwrap();
    let member = app.member(&owner, web::Role::Member).await;
    let off = json!({ "keep": false });
    assert_eq!(member.put("/v1/org/prompt-retention", off.clone()).await.problem().0, 403);
    for _ in 0..2 {
        owner.put("/v1/org/prompt-retention", off.clone()).await.ok();
    }
    let shown = member.get("/v1/prompt-retention").await.ok();
    assert_eq!(shown, json!({ "org": false, "me": true, "kept": false }));
    let log = owner.get("/v1/audit-log?action=prompt_retention.changed").await.ok();
    assert_eq!(log["items"].as_array().unwrap().len(), 1, "{log}");
    assert!(app.ai.keeps_prompts(app.owner().await.org(), member.user()).await.unwrap());
}
