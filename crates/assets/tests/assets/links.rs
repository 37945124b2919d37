use chrono::TimeDelta;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testing::{Client, Reply, TestApp};

use crate::support::{
    PART, assert_counted, begin, complete, content, program, send, text, uploaded, with_bucket,
};

async fn link(owner: &Client, asset: &str) -> Value {
    owner.post(&format!("/v1/assets/{asset}/links"), json!({ "expires_in": 600 })).await.ok()
}

async fn fetch(url: &str) -> Reply {
    Reply::read(reqwest::get(url).await.unwrap()).await
}

/// A link of the product leads to where this test reaches it.
fn here(app: &TestApp, link: &Value) -> String {
    let url: url::Url = link["url"].as_str().unwrap().parse().unwrap();
    format!("{}{}?{}", app.url, url.path(), url.query().unwrap())
}

#[tokio::test]
async fn a_link_reads_one_file_for_some_time() {
    let app = TestApp::start().await;
    let (owner, other) = (app.owner().await, app.owner().await);
    let [asset, second] = [b"hello", b"other"].map(|it| it.to_vec());
    let asset = uploaded(&owner, "text/plain", &asset).await;
    let second = uploaded(&owner, "text/plain", &second).await;
    let url = here(&app, &link(&owner, &asset).await);
    let read = fetch(&url).await;
    assert_eq!((read.status.as_u16(), read.text.as_str()), (200, "hello"));
    assert_eq!(read.header("cache-control"), Some("public, max-age=600, immutable"));
    assert!(read.header("content-disposition").unwrap().starts_with("attachment"));

    let theirs = other.org().to_string();
    for (part, instead) in [
        (asset.as_str(), second.as_str()),
        ("expires=1", "expires=2"),
        ("signature=", "signature=0"),
        (&owner.org().to_string(), &theirs),
    ] {
        let forged = fetch(&url.replacen(part, instead, 1)).await;
        assert_eq!(forged.problem(), (403, "invalid_link".into()), "{instead}");
    }
    app.advance(TimeDelta::seconds(599));
    assert_eq!(fetch(&url).await.header("cache-control"), Some("public, max-age=1, immutable"));
    app.advance(TimeDelta::seconds(1));
    assert_eq!(fetch(&url).await.problem(), (403, "invalid_link".into()));

    let url = here(&app, &link(&owner, &asset).await);
    owner.delete(&format!("/v1/assets/{asset}")).await;
    assert_eq!(fetch(&url).await.problem(), (404, "asset_not_found".into()));
    let refused = other.post(&format!("/v1/assets/{second}/links"), json!({})).await;
    assert_eq!(refused.problem(), (404, "asset_not_found".into()));
}

#[tokio::test]
async fn links_lead_to_the_cdn_if_there_is_one() {
    let app = TestApp::start_with(|settings| {
        settings.assets.cdn_url = "https://cdn.example.com".parse().ok();
    })
    .await;
    let owner = app.owner().await;
    let asset = uploaded(&owner, "text/plain", b"hello").await;
    let link = link(&owner, &asset).await;
    assert!(link["url"].as_str().unwrap().starts_with("https://cdn.example.com/v1/asset-links/"));
    assert_eq!(fetch(&here(&app, &link)).await.text, "hello");
}

#[tokio::test]
async fn a_bucket_is_read_without_us_and_only_what_is_signed() {
    let (bucket, app) = with_bucket().await;
    let owner = app.owner().await;
    let asset = uploaded(&owner, "text/plain", b"hello").await;
    let url = link(&owner, &asset).await["url"].as_str().unwrap().to_owned();
    assert!(!url.starts_with(&app.url), "{url}");
    let read = fetch(&url).await;
    assert_eq!(read.text, "hello");
    assert_eq!(read.header("content-disposition"), Some("attachment; filename=\"a file\""));
    assert_eq!(fetch(&url.replacen("X-Amz-Expires=600", "X-Amz-Expires=900", 1)).await.status, 403);
    assert_eq!(fetch(url.split('?').next().unwrap()).await.status, 403);
    drop(bucket);
}

async fn put(url: &str, body: &[u8]) -> StatusCode {
    let sent = reqwest::Client::new().request(Method::PUT, url).body(body.to_vec()).send().await;
    sent.unwrap().status()
}

async fn part_links(owner: &Client, upload: &str, parts: &[u32]) -> Vec<Value> {
    let links = owner.post(&format!("/v1/uploads/{upload}/links"), json!({ "parts": parts })).await;
    links.ok()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn parts_are_sent_by_links_to_a_directory() {
    let app = TestApp::start().await;
    let owner = program(&app.owner().await).await;
    let whole = text(PART + 5);
    let id = begin(&owner, "text/plain", whole.len()).await;
    let links = part_links(&owner, &id, &[1, 2]).await;
    let urls: Vec<_> = links.iter().map(|link| here(&app, link)).collect();
    assert_eq!(put(&urls[1], b"longer").await, 413);
    assert_eq!(put(&urls[0].replacen("parts/1", "parts/2", 1), b"hello").await, 403);
    for (url, part) in urls.iter().zip(whole.chunks(PART)) {
        assert_eq!(put(url, part).await, 200);
    }
    let asset = complete(&owner, &id).await.ok();
    assert!(content(&owner, asset["id"].as_str().unwrap()).await == whole);
    assert_eq!(put(&urls[1], b"later").await, 409, "the upload has ended");
    let id = begin(&owner, "text/plain", 5).await;
    let url = here(&app, &part_links(&owner, &id, &[1]).await[0]);
    app.advance(TimeDelta::hours(1));
    assert_eq!(put(&url, b"hello").await, 403, "the link has ended");
    let many: Vec<_> = (1..=101).collect();
    let refused = owner.post(&format!("/v1/uploads/{id}/links"), json!({ "parts": many })).await;
    assert_eq!(refused.problem(), (422, "invalid_field".into()));
}

#[tokio::test]
async fn parts_are_sent_by_links_to_a_bucket_and_change_nothing_afterwards() {
    let (_bucket, app) = with_bucket().await;
    let owner = app.owner().await;
    let id = begin(&owner, "text/plain", 5).await;
    let url = part_links(&owner, &id, &[1]).await[0]["url"].as_str().unwrap().to_owned();
    assert_eq!(put(&url, b"longer").await, 403);
    assert_eq!(put(&url, b"hello").await, 200);
    let asset = complete(&owner, &id).await.ok();
    let asset = asset["id"].as_str().unwrap();
    // The link still works, but what it leads to has become something else.
    assert_eq!(put(&url, b"EVIL!").await, 200);
    assert_eq!(content(&owner, asset).await, b"hello");
    assert_counted(&app).await;

    let id = begin(&owner, "text/plain", 5).await;
    send(&owner, &id, 1, b"hello").await.ok();
    assert_eq!(owner.delete(&format!("/v1/uploads/{id}")).await.status, 204);
    let refused = owner.post(&format!("/v1/uploads/{id}/links"), json!({ "parts": [1] })).await;
    assert_eq!(refused.problem(), (409, "upload_ended".into()));
}
