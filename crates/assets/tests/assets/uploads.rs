use reqwest::{Body, Method};
use serde_json::json;
use testing::{Client, Reply, TestApp};
use web::Role;

use crate::support::{
    PART, assert_counted, begin, complete, content, file, send, text, upload, uploaded, used,
    with_bucket,
};

async fn a_file_of_many_parts_survives_an_interruption(app: TestApp) {
    let owner = app.owner().await;
    let whole = text(6 * PART + 5);
    let id = begin(&owner, "text/plain", whole.len()).await;
    // In no order, one of them twice.
    for number in [7, 2, 1, 2, 5] {
        let part = whole.chunks(PART).nth(number - 1).unwrap();
        assert_eq!(send(&owner, &id, number, part).await.ok()["bytes"], part.len());
    }
    let progress = owner.get(&format!("/v1/uploads/{id}")).await.ok();
    assert_eq!(progress["received_bytes"], 3 * PART + 5);
    let numbers: Vec<_> =
        progress["parts"].as_array().unwrap().iter().map(|it| &it["number"]).collect();
    assert_eq!(numbers, [1, 2, 5, 7]);
    let early = complete(&owner, &id).await;
    assert_eq!(early.body["missing_parts"], json!([3, 4, 6]));
    assert_eq!(early.problem(), (409, "upload_incomplete".into()));

    for number in [3, 4, 6] {
        send(&owner, &id, number, whole.chunks(PART).nth(number - 1).unwrap()).await.ok();
    }
    let asset = complete(&owner, &id).await.ok();
    assert_eq!(asset["bytes"], whole.len());
    assert!(content(&owner, asset["id"].as_str().unwrap()).await == whole, "it came back changed");
    assert_eq!(used(&owner).await, i64::try_from(whole.len()).unwrap());
    app.run_jobs().await;
    assert_counted(&app).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_more_than_50_mb_is_sent_on_after_an_interruption_to_a_directory() {
    Box::pin(a_file_of_many_parts_survives_an_interruption(TestApp::start().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_more_than_50_mb_is_sent_on_after_an_interruption_to_a_bucket() {
    let (_bucket, app) = with_bucket().await;
    Box::pin(a_file_of_many_parts_survives_an_interruption(app)).await;
}

#[tokio::test]
async fn completing_again_answers_the_same_file() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let id = begin(&owner, "text/plain", 5).await;
    send(&owner, &id, 1, b"hello").await.ok();
    let all = (0..8).map(|_| complete(&owner, &id));
    let all: Vec<_> = futures::future::join_all(all).await.into_iter().map(Reply::ok).collect();
    assert!(all.iter().all(|asset| asset["id"] == all[0]["id"]), "{all:?}");
    assert_eq!(owner.get("/v1/assets").await.ok()["items"].as_array().unwrap().len(), 1);
    app.run_jobs().await;
    assert_eq!(complete(&owner, &id).await.ok(), all[0], "though the parts are gone");
    assert_eq!(send(&owner, &id, 1, b"later").await.problem(), (409, "upload_ended".into()));
    assert_eq!(content(&owner, all[0]["id"].as_str().unwrap()).await, b"hello");
    assert_counted(&app).await;
}

/// A body of which nobody says how long it is.
fn endless(chunks: usize) -> Body {
    let chunk = vec![b'x'; 64 * 1024];
    Body::wrap_stream(futures::stream::iter(
        (0..chunks).map(move |_| Ok::<_, std::io::Error>(chunk.clone())),
    ))
}

async fn send_body(owner: &Client, path: &str, body: Body) -> Reply {
    Reply::read(owner.request(Method::PUT, path).body(body).send().await.unwrap()).await
}

#[tokio::test]
async fn a_part_of_another_length_is_refused_and_leaves_nothing() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let id = begin(&owner, "text/plain", PART + 5).await;
    assert_eq!(send(&owner, &id, 2, b"shrt").await.problem(), (400, "part_too_small".into()));
    assert_eq!(send(&owner, &id, 2, b"longer").await.problem(), (413, "part_too_large".into()));
    assert_eq!(send(&owner, &id, 3, b"hello").await.problem(), (404, "part_not_found".into()));
    assert_eq!(send(&owner, &id, 0, b"hello").await.problem(), (404, "part_not_found".into()));
    // A gigabyte without a length is refused as soon as it is too much; the client may not hear it.
    let path = format!("/v1/uploads/{id}/parts/2");
    let sent = owner.request(Method::PUT, &path).body(endless(16_384)).send().await;
    assert!(sent.is_err() || sent.unwrap().status() == 413);
    assert_eq!(
        send_body(&owner, &path, endless(0)).await.problem(),
        (400, "part_too_small".into())
    );
    assert_eq!(owner.get(&format!("/v1/uploads/{id}")).await.ok()["received_bytes"], 0);
    send_body(&owner, &path, Body::from("hello")).await.ok();
    assert_eq!(owner.get(&format!("/v1/uploads/{id}")).await.ok()["received_bytes"], 5);
}

#[tokio::test]
async fn what_is_announced_is_checked_before_anything_is_sent() {
    let app = TestApp::start_with(|it| it.storage.storage_max_object_bytes = 1000).await;
    let owner = app.owner().await;
    let begin = async |file| owner.post("/v1/uploads", file).await;
    assert_eq!(begin(file("text/plain", 1001)).await.problem(), (413, "file_too_large".into()));
    for (pointer, value) in [
        ("name", json!("a\r\nSet-Cookie: x")),
        ("name", json!("x".repeat(300))),
        ("content_type", json!("text/html")),
        ("bytes", json!(0)),
        ("bytes", json!(-1)),
        ("sha256", json!("abc")),
    ] {
        let mut file = file("text/plain", 5);
        file[pointer] = value;
        let refused = begin(file).await;
        assert_eq!(refused.body["errors"][0]["pointer"], format!("/{pointer}"), "{refused:?}");
        assert_eq!(refused.problem(), (422, "invalid_field".into()));
    }
    assert_eq!(used(&owner).await, 0);
}

#[tokio::test]
async fn an_upload_that_is_given_up_is_gone_and_free() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let id = begin(&owner, "text/plain", 5).await;
    send(&owner, &id, 1, b"hello").await.ok();
    assert_eq!(used(&owner).await, 5);
    let path = format!("/v1/uploads/{id}");
    assert_eq!(owner.delete(&path).await.status, 204);
    assert_eq!(used(&owner).await, 0);
    assert_eq!(owner.delete(&path).await.problem(), (409, "upload_ended".into()));
    assert_eq!(complete(&owner, &id).await.problem(), (409, "upload_ended".into()));
    app.run_jobs().await;
    assert_counted(&app).await;
}

#[tokio::test]
async fn whoever_only_looks_uploads_nothing() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let viewer = app.member(&owner, Role::Viewer).await;
    let asset = uploaded(&owner, "text/plain", b"hello").await;
    assert_eq!(content(&viewer, &asset).await, b"hello");
    let refused = viewer.post("/v1/uploads", file("text/plain", 5)).await;
    assert_eq!(refused.problem(), (403, "forbidden".into()));
    let refused = viewer.delete(&format!("/v1/assets/{asset}")).await;
    assert_eq!(refused.problem(), (403, "forbidden".into()));
    assert_eq!(upload(&owner, "text/plain", b"more").await.status, 201);
}
