//! Clients that lost the connection of a stream and join it again, without an `Idempotency-Key`.

use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use simulators::ai::Fault;
use testing::{Client, Reply, TestApp};

use crate::{
    streamed,
    streams::{content, events},
    usage,
};

const CHAT: &str = "/v1/chat/completions";

async fn begin(client: &Client, path: &str, body: Value) -> (String, reqwest::Response) {
    let response = client.request(Method::POST, path).json(&body).send().await.unwrap();
    let call = response.headers()["x-slipway-call"].to_str().unwrap().to_owned();
    (format!("/v1/streams/{call}"), response)
}

/// The events without their ids.
fn unnumbered(reply: &Reply) -> String {
    let lines = reply.text.split_inclusive('\n').filter(|line| !line.starts_with("id: "));
    lines.collect()
}

#[tokio::test]
async fn a_client_that_lost_its_connection_goes_on_where_it_was_and_is_charged_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.next(Fault::HangAfter { chunks: 3 });
    let (stream, response) = begin(&owner, CHAT, streamed()).await;
    let mut body = response.bytes_stream();
    let mut seen = String::new();
    while events(&seen).len() < 3 {
        seen += std::str::from_utf8(&body.next().await.unwrap().unwrap()).unwrap();
    }

    drop(body);
    let joining = owner.header("last-event-id", "3");
    let path = stream.clone();
    let joined = tokio::spawn(async move { joining.get(&path).await });
    app.simulators.ai.release();
    let rest = joined.await.unwrap();

    assert_eq!(rest.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert!(rest.text.starts_with("id: 4\n"), "{}", rest.text);
    let whole = owner.get(&stream).await;
    assert_eq!(format!("{seen}{}", unnumbered(&rest)), unnumbered(&whole));
    assert_eq!(events(&unnumbered(&whole)).last(), Some(&Value::Null), "ends with [DONE]");
    let other = owner.post(CHAT, streamed()).await;
    assert_eq!(content(&events(&unnumbered(&whole))), content(&events(&other.text)));
    assert_eq!(usage(&owner).await["calls"], 2);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn nobody_else_joins_it_not_even_another_key_of_the_org() {
    let app = TestApp::start().await;
    let (owner, stranger) = (app.owner().await, app.owner().await);
    let key = owner.post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
    let key = owner.with_key(key["secret"].as_str().unwrap());
    let (stream, response) = begin(&owner, CHAT, streamed()).await;
    Reply::read(response).await.ok_text();

    owner.get(&stream).await.ok_text();
    for other in [&stranger, &key] {
        assert_eq!(other.get(&stream).await.problem(), (404, "stream_not_found".into()));
    }
    assert_eq!(app.anonymous().get(&stream).await.status, 401);
}

#[tokio::test]
async fn a_stream_in_anthropics_words_is_joined_in_them() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for model in ["claude-haiku-4-5", "gpt-4o-mini"] {
        let request = json!({
            "model": model, "max_tokens": 50, "stream": true,
            "messages": [{ "role": "user", "content": "hello" }],
        });
        let (stream, response) = begin(&owner, "/v1/messages", request).await;
        let first = Reply::read(response).await;

        let again = owner.get(&stream).await;
        let rest = owner.header("last-event-id", "2").get(&stream).await;

        let no_pings = first.text.replace("event: ping\ndata: {\"type\": \"ping\"}\n\n", "");
        let no_pings = no_pings.replace("event: ping\ndata: {\"type\":\"ping\"}\n\n", "");
        assert_eq!(unnumbered(&again), no_pings, "{model}");
        assert!(rest.text.starts_with("id: 3\n"), "{}", rest.text);
        assert!(again.text.ends_with(&rest.text));
    }
}

#[tokio::test]
async fn what_cannot_be_joined_is_not_found_and_what_cannot_be_a_number_refused() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (stream, response) = begin(&owner, CHAT, streamed()).await;
    Reply::read(response).await.ok_text();

    let unknown = format!("/v1/streams/{}", uuid::Uuid::now_v7());
    assert_eq!(owner.get(&unknown).await.problem(), (404, "stream_not_found".into()));
    for nonsense in ["x", "-1", "1.5"] {
        let refused = owner.header("last-event-id", nonsense).get(&stream).await;
        assert_eq!(refused.problem(), (400, "invalid_header".into()), "{nonsense}");
    }
    let past = owner.header("last-event-id", "100000").get(&stream).await;
    assert_eq!(past.ok_text(), "");
}
