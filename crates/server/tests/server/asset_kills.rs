//! The real program is killed in the middle of a file, and weighed while it moves one.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::{Body, Method, StatusCode};
use serde_json::json;
use testing::{Client, Reply, TestApp};

use crate::processes::{Process, eventually};

const PART: usize = 8 * 1024 * 1024;

async fn begin(owner: &Client, bytes: usize) -> String {
    let file = json!({ "name": "a.txt", "content_type": "text/plain", "bytes": bytes });
    owner.post("/v1/uploads", file).await.ok()["id"].as_str().unwrap().to_owned()
}

async fn send(owner: &Client, upload: &str, number: usize, body: impl Into<Body>) -> Reply {
    let path = format!("/v1/uploads/{upload}/parts/{number}");
    Reply::read(owner.request(Method::PUT, &path).body(body).send().await.unwrap()).await
}

async fn complete(owner: &Client, upload: &str) -> Reply {
    owner.post(&format!("/v1/uploads/{upload}/completion"), json!({})).await
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// What is kept of one kind.
fn kept(directory: &Path, owner: &Client, kind: &str) -> Vec<PathBuf> {
    files(&directory.join(format!(".data/storage/orgs/{}/{kind}", owner.org())))
}

async fn assert_counted(app: &TestApp) {
    assert_eq!(assets::differences(app.db.pool()).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_the_object_and_its_row_a_file_is_completed_again_and_counted_once() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::beside(&app, directory.path()).await;
    let client = owner.at(&process.url);
    let upload = begin(&client, 5).await;
    send(&client, &upload, 1, "hello").await.ok();
    let mut locked = app.db.begin().await.unwrap();
    sqlx::query("select from asset_usage for update").execute(&mut *locked).await.unwrap();
    let (caller, id) = (client.clone(), upload.clone());
    tokio::spawn(async move {
        let path = format!("/v1/uploads/{id}/completion");
        // The connection dies with the process.
        caller.request(Method::POST, &path).json(&json!({})).send().await.ok();
    });
    eventually("the completion waits for the counter", async || {
        let waiting = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(app.db.pool()).await.unwrap();
        waiting > 0
    })
    .await;
    assert_eq!(kept(directory.path(), &owner, "assets").len(), 1, "the object is written");
    process.child.kill().await.unwrap();
    locked.rollback().await.unwrap();

    let next = Process::beside(&app, directory.path()).await;
    let client = owner.at(&next.url);
    let asset = complete(&client, &upload).await.ok();
    let path = format!("/v1/assets/{}/content", asset["id"].as_str().unwrap());
    assert_eq!(client.get(&path).await.ok_text(), "hello");
    assert_eq!(client.get("/v1/asset-usage").await.ok()["used_bytes"], 5);
    assert_counted(&app).await;

    for object in kept(directory.path(), &owner, "assets") {
        let aged = Command::new("touch").args(["-d", "3 days ago"]).arg(object).status();
        assert!(aged.unwrap().success());
    }
    assert_eq!(kept(directory.path(), &owner, "assets").len(), 2);
    let sweep = "select graphile_worker.add_job('assets.remove_orphans', '{\"job\": {}}'::json)";
    sqlx::query(sweep).execute(app.db.pool()).await.unwrap();
    eventually("the object of the dead is removed", async || {
        kept(directory.path(), &owner, "assets").len() == 1
    })
    .await;
    assert_eq!(client.get(&path).await.ok_text(), "hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_a_part_nothing_of_it_is_seen_and_it_is_sent_again() {
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::beside(&app, directory.path()).await;
    let client = owner.at(&process.url);
    let upload = begin(&client, PART).await;
    let (caller, id) = (client.clone(), upload.clone());
    tokio::spawn(async move {
        let half = stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; PART / 2]))]);
        let body = Body::wrap_stream(half.chain(stream::pending()));
        // The connection dies with the process.
        let path = format!("/v1/uploads/{id}/parts/1");
        caller.request(Method::PUT, &path).body(body).send().await.ok();
    });
    eventually("half of the part has come", async || {
        kept(directory.path(), &owner, "uploads")
            .iter()
            .any(|it| it.metadata().is_ok_and(|it| it.len() > 0))
    })
    .await;
    process.child.kill().await.unwrap();

    let next = Process::beside(&app, directory.path()).await;
    let client = owner.at(&next.url);
    let progress = client.get(&format!("/v1/uploads/{upload}")).await.ok();
    assert_eq!((&progress["received_bytes"], &progress["status"]), (&json!(0), &json!("open")));
    assert_eq!(complete(&client, &upload).await.problem(), (409, "upload_incomplete".into()));
    send(&client, &upload, 1, vec![b'y'; PART]).await.ok();
    assert_eq!(complete(&client, &upload).await.ok()["bytes"], PART);
    assert_counted(&app).await;
}

/// A figure of a process, in kilobytes.
fn memory(process: &Process, figure: &str) -> u64 {
    let pid = process.child.id().unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(figure)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

async fn transfer(client: &Client, bytes: usize) {
    let upload = begin(client, bytes).await;
    let mut left = bytes;
    for number in 1..=bytes.div_ceil(PART) {
        send(client, &upload, number, vec![b'x'; left.min(PART)]).await.ok();
        left -= left.min(PART);
    }
    let asset = complete(client, &upload).await.ok();
    let path = format!("/v1/assets/{}/content", asset["id"].as_str().unwrap());
    let answer = client.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let mut body = answer.bytes_stream();
    let mut came = 0;
    while let Some(chunk) = body.next().await {
        came += chunk.unwrap().len();
    }
    assert_eq!(came, bytes);
}

/// `just file-memory` does the same with 200 MB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_takes_less_than_60_mb_of_memory() {
    let megabytes = std::env::var("FILE_MB").map_or(64, |it| it.parse().unwrap());
    let app = TestApp::live().await;
    let owner = app.owner().await;
    let room = "update entitlements set storage_bytes = 1000000000";
    sqlx::query(room).execute(app.db.pool()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let process = Process::beside(&app, directory.path()).await;
    let client = owner.at(&process.url);
    transfer(&client, 5).await;
    let idle = memory(&process, "VmRSS");
    // The greatest so far is that of the start.
    fs::write(format!("/proc/{}/clear_refs", process.child.id().unwrap()), "5").unwrap();
    transfer(&client, megabytes * 1_000_000).await;
    let more = memory(&process, "VmHWM").saturating_sub(idle);
    println!("{megabytes} MB up and down took {more} kB above the {idle} kB of idling");
    assert!(more < 60_000, "{more} kB above idle");
}
