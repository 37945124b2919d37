//! Calls with an `Idempotency-Key`: one charge, and an answer as often as it is asked for.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use simulators::ai::Fault;
use testing::{Client, TestApp};

use crate::{chat, left_today, provider_calls, streamed, usage};

const CHAT: &str = "/v1/chat/completions";

/// Begins a stream and reads its first piece.
async fn begin(client: &Client) -> (reqwest::Response, String) {
    let mut response = client.request(Method::POST, CHAT).json(&streamed()).send().await.unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    (response, String::from_utf8(first.to_vec()).unwrap())
}

async fn rest(mut response: reqwest::Response) -> String {
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
    }
    String::from_utf8(text).unwrap()
}

/// Asks until the stream has been kept and no longer runs.
async fn replayed(client: &Client) -> String {
    loop {
        let reply = client.post(CHAT, streamed()).await;
        if reply.status != 409 {
            assert_eq!(reply.header("idempotency-replayed"), Some("true"), "{reply:?}");
            return reply.text;
        }
        assert!(reply.header("retry-after").is_some());
    }
}

#[tokio::test]
async fn a_repeated_call_is_answered_to_the_byte_and_charged_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await.header("idempotency-key", "a");
    let embed = json!({ "model": "text-embedding-3-small", "input": "hello" });
    let image = json!({ "model": "gpt-image-1", "prompt": "a ship" });
    let calls = [
        (CHAT, chat()),
        ("/v1/messages", chat()),
        ("/v1/embeddings", embed),
        ("/v1/images/generations", image),
    ];

    for (path, body) in calls {
        let first = owner.post(path, body.clone()).await;
        let again = owner.post(path, body).await;
        assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (200, None));
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{path}");
        assert_eq!(again.text, first.text);
        assert_eq!(again.header("x-slipway-model"), first.header("x-slipway-model"));
    }
    assert_eq!(app.simulators.ai.state().generations(), 4);
    assert_eq!(usage(&owner).await["calls"], 4);
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_once_under_one_key_are_one_call() {
    let app = TestApp::start().await;
    let owner = app.owner().await.header("idempotency-key", "a");

    let replies = join_all((0..8).map(|_| owner.post(CHAT, chat()))).await;

    let answers: Vec<_> = replies.iter().filter(|it| it.status == 200).map(|it| &it.text).collect();
    assert!(!answers.is_empty() && answers.iter().all(|it| *it == answers[0]));
    for reply in replies.into_iter().filter(|it| it.status != 200) {
        assert_eq!(reply.problem(), (409, "idempotency_key_in_use".into()));
    }
    assert_eq!((provider_calls(&app), left_today(&owner).await), (1, 4));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_running_stream_is_joined_from_the_beginning_or_after_an_event() {
    let app = TestApp::start().await;
    let owner = app.owner().await.header("idempotency-key", "a");
    app.simulators.ai.next(Fault::HangAfter { chunks: 3 });
    let (first, beginning) = begin(&owner).await;
    let (joined, same_beginning) = begin(&owner).await;
    let (later, _) = begin(&owner.header("last-event-id", "1")).await;
    assert_eq!(joined.headers()["idempotency-replayed"], "true");
    assert!(beginning.starts_with("id: 1\ndata: {"), "{beginning}");

    app.simulators.ai.release();

    let whole = beginning + &rest(first).await;
    assert_eq!(same_beginning + &rest(joined).await, whole);
    assert!(!rest(later).await.contains("id: 1\n"));
    assert!(whole.ends_with("data: [DONE]\n\n"));
    assert_eq!((provider_calls(&app), usage(&owner).await["calls"].as_i64()), (1, Some(1)));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_client_that_lost_its_stream_gets_it_whole_and_is_charged_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await.header("idempotency-key", "a");
    app.simulators.ai.next(Fault::HangAfter { chunks: 3 });
    let (response, beginning) = begin(&owner).await;
    drop(response);

    app.simulators.ai.release();
    app.ai.drain().await;
    let whole = replayed(&owner).await;

    assert!(whole.starts_with(&beginning) && whole.ends_with("data: [DONE]\n\n"), "{whole}");
    assert_eq!(replayed(&owner).await, whole);
    let after = replayed(&owner.header("last-event-id", "2")).await;
    assert_eq!(after, whole[whole.find("id: 3\n").unwrap()..]);
    assert_eq!((provider_calls(&app), usage(&owner).await["calls"].as_i64()), (1, Some(1)));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_stream_that_broke_off_is_replayed_if_it_was_charged_and_asked_anew_if_not() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (charged, free) =
        (owner.header("idempotency-key", "a"), owner.header("idempotency-key", "b"));
    app.simulators.ai.next(Fault::CutAfter { chunks: 3 });
    let broken = charged.post(CHAT, streamed()).await.ok_text();
    assert_eq!(replayed(&charged).await, broken);
    app.simulators.ai.next(Fault::CutAfter { chunks: 0 });
    let lost = free.post(CHAT, streamed()).await;

    let again = loop {
        let reply = free.post(CHAT, streamed()).await;
        if reply.status != 409 {
            break reply;
        }
    };

    assert!(lost.text.contains("ai_unavailable"), "{lost:?}");
    assert_eq!(again.header("idempotency-replayed"), None);
    assert!(!again.text.contains("ai_unavailable"), "{again:?}");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_call_that_failed_and_cost_nothing_is_made_by_the_repetition() {
    let app = TestApp::start().await;
    let owner = app.owner().await.header("idempotency-key", "a");
    app.simulators.ai.next(Fault::Status { status: 400, retry_after: None });
    assert_eq!(owner.post(CHAT, chat()).await.problem(), (400, "provider_refused".into()));

    let again = owner.post(CHAT, chat()).await;

    assert_eq!(again.header("idempotency-replayed"), None);
    assert_eq!(usage(&owner).await["calls"], 1);
}

#[tokio::test]
async fn a_stream_in_anthropics_words_is_replayed_and_continued_as_well() {
    let app = TestApp::start().await;
    let owner = app.owner().await.header("idempotency-key", "a");
    let first = owner.post("/v1/messages", streamed()).await.ok_text();
    app.ai.drain().await;

    let again = loop {
        let reply = owner.post("/v1/messages", streamed()).await;
        if reply.status != 409 {
            break reply;
        }
    };
    let after = owner.header("last-event-id", "1").post("/v1/messages", streamed()).await;

    assert!(first.starts_with("id: 1\nevent: message_start\n"), "{first}");
    assert_eq!(again.text, first);
    assert_eq!(after.text, first[first.find("id: 2\n").unwrap()..]);
    assert_eq!(usage(&owner).await["calls"], 1);
}

#[tokio::test]
async fn a_key_used_for_another_question_is_refused_in_words_that_sdks_show() {
    let app = TestApp::start().await;
    let owner = app.owner().await.header("idempotency-key", "a");
    owner.post(CHAT, chat()).await.ok();

    let other = owner.post(CHAT, streamed()).await;

    assert_eq!(other.body["error"]["code"], "idempotency_key_reused");
    assert_eq!(other.problem(), (422, "idempotency_key_reused".into()));
    assert_eq!(provider_calls(&app), 1);
}

#[tokio::test]
async fn nobody_else_joins_a_stream() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    app.simulators.ai.next(Fault::HangAfter { chunks: 2 });
    let (first, _) = begin(&ours.header("idempotency-key", "a")).await;

    let other = theirs.header("idempotency-key", "a").post(CHAT, streamed()).await;

    assert_eq!((other.status.as_u16(), other.header("idempotency-replayed")), (200, None));
    app.simulators.ai.release();
    rest(first).await;
    assert_eq!(provider_calls(&app), 2);
}

#[tokio::test]
async fn an_answer_is_kept_encrypted() {
    let app = TestApp::start().await;
    let owner = app.owner().await.header("idempotency-key", "a");

    let answer: Value = owner.post(CHAT, chat()).await.ok();

    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    let stored: Vec<u8> = sqlx::query_scalar("select answer from idempotency_keys")
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    assert!(!stored.windows(text.len()).any(|it| it == text.as_bytes()));
}
