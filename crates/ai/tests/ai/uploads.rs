//! Images that were uploaded before, named in prompts.

use reqwest::Method;
use serde_json::{Value, json};
use testing::{Client, Reply, TestApp};

use crate::{only_record, provider_calls};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

async fn upload(client: &Client, content: &[u8]) -> Reply {
    let mut form = b"--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nvision\r\n\
        --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"boat.png\"\r\n\r\n"
        .to_vec();
    form.extend(content);
    form.extend(b"\r\n--x--\r\n");
    let request = client.request(Method::POST, "/v1/files");
    let request = request.header("content-type", "multipart/form-data; boundary=x").body(form);
    Reply::read(request.send().await.unwrap()).await
}

fn about(image: &Value) -> Value {
    json!({
        "model": "gpt-4o-mini", "max_tokens": 20,
        "messages": [{ "role": "user", "content": [
            { "type": "text", "text": "what is it?" },
            { "type": "image_url", "image_url": image },
        ]}],
    })
}

#[tokio::test]
async fn an_uploaded_image_is_sent_in_its_place_and_priced_as_any_other() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let file = upload(&owner, PNG).await.ok();
    assert_eq!(file["purpose"], "vision");
    let request = about(&json!({ "file_id": file["id"], "detail": "low" }));

    let quote = json!({ "operation": "chat", "request": request.clone() });
    let quote = owner.post("/v1/quotes", quote).await.ok();
    owner.post("/v1/chat/completions", request).await.ok();

    assert!(quote["max_cost_nano_usd"].as_i64().unwrap() > 49_000 * 150, "{quote}");
    let state = app.simulators.ai.state();
    let sent = &state.calls.back().unwrap().body["messages"][0]["content"][1]["image_url"];
    let url = sent["url"].as_str().unwrap();
    assert!(url.starts_with("data:image/png;base64,iVBORw0KGgo"), "{url}");
    assert_eq!((&sent["detail"], &sent["file_id"]), (&json!("low"), &Value::Null));
    assert_eq!(only_record(&app).await.0, "succeeded");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn an_image_that_is_not_there_or_somebody_elses_or_none_is_refused() {
    let app = TestApp::start().await;
    let (owner, stranger) = (app.owner().await, app.owner().await);
    let file = upload(&owner, PNG).await.ok();
    let wrong = upload(&owner, b"<svg onload=alert(1)>").await;
    assert_eq!(wrong.problem(), (422, "invalid_field".into()));

    for (client, image) in [
        (&stranger, json!({ "file_id": file["id"] })),
        (&owner, json!({ "file_id": uuid::Uuid::now_v7() })),
        (&owner, json!({ "file_id": 7 })),
        (&owner, json!({ "file_id": file["id"], "url": "https://example.com/boat.png" })),
    ] {
        let refused = client.post("/v1/chat/completions", about(&image)).await;
        assert_eq!(refused.problem(), (422, "invalid_field".into()), "{image}");
    }
    assert_eq!(provider_calls(&app), 0);
}
