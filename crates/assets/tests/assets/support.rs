use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testing::{Bucket, Client, Reply, TestApp};

/// The size of every part but the last.
pub(crate) const PART: usize = 8 * 1024 * 1024;

/// The product over a bucket.
pub(crate) async fn with_bucket() -> (Bucket, TestApp) {
    let bucket = Bucket::start().await;
    let app = TestApp::start_with(|settings| bucket.settings(&mut settings.storage)).await;
    (bucket, app)
}

pub(crate) fn file(content_type: &str, bytes: usize) -> Value {
    json!({ "name": "a file", "content_type": content_type, "bytes": bytes })
}

pub(crate) async fn begin(owner: &Client, content_type: &str, bytes: usize) -> String {
    let upload = owner.post("/v1/uploads", file(content_type, bytes)).await.ok();
    upload["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn send(owner: &Client, upload: &str, number: usize, body: &[u8]) -> Reply {
    let path = format!("/v1/uploads/{upload}/parts/{number}");
    let sent = owner.request(Method::PUT, &path).body(body.to_vec()).send().await.unwrap();
    Reply::read(sent).await
}

pub(crate) async fn complete(owner: &Client, upload: &str) -> Reply {
    owner.post(&format!("/v1/uploads/{upload}/completion"), json!({})).await
}

/// Uploads `content` in as many parts as it needs; answers how it ends.
pub(crate) async fn upload(owner: &Client, content_type: &str, content: &[u8]) -> Reply {
    let upload = begin(owner, content_type, content.len()).await;
    for (at, part) in content.chunks(PART).enumerate() {
        send(owner, &upload, at + 1, part).await.ok();
    }
    complete(owner, &upload).await
}

/// The id of a file with `content`.
pub(crate) async fn uploaded(owner: &Client, content_type: &str, content: &[u8]) -> String {
    upload(owner, content_type, content).await.ok()["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn content(owner: &Client, asset: &str) -> Vec<u8> {
    let read = owner.request(Method::GET, &format!("/v1/assets/{asset}/content")).send().await;
    let read = read.unwrap();
    assert_eq!(read.status(), StatusCode::OK);
    read.bytes().await.unwrap().to_vec()
}

pub(crate) async fn used(owner: &Client) -> i64 {
    owner.get("/v1/asset-usage").await.ok()["used_bytes"].as_i64().unwrap()
}

/// The same person by an API key, which outlives a session.
pub(crate) async fn program(owner: &Client) -> Client {
    let key = owner.post("/v1/api-keys", json!({ "name": "CI", "scopes": ["*"] })).await.ok();
    owner.with_key(key["secret"].as_str().unwrap())
}

/// Gives an org room.
pub(crate) async fn allow(app: &TestApp, owner: &Client, bytes: i64) {
    sqlx::query("update entitlements set storage_bytes = $2 where org_id = $1")
        .bind(owner.org())
        .bind(bytes)
        .execute(app.db.pool())
        .await
        .unwrap();
}

/// Every counter is the sum of what it stands for.
pub(crate) async fn assert_counted(app: &TestApp) {
    assert_eq!(assets::differences(app.db.pool()).await.unwrap(), [], "counters are wrong");
}

/// Text of which none looks like its neighbours.
pub(crate) fn text(bytes: usize) -> Vec<u8> {
    let letter =
        |at: usize| b'a' + u8::try_from((at.wrapping_mul(2_654_435_761) >> 24) % 26).unwrap();
    (0..bytes).map(letter).collect()
}
