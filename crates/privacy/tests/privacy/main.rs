//! Copies of what is kept about somebody.

mod canary;
mod deletions;
mod exports;

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Read},
    path::Path,
};

use reqwest::Method;
use serde_json::{Value, json};
use testing::{Client, TestApp};
use zip::ZipArchive;

/// The files of an archive, by name.
fn unzip(bytes: &[u8]) -> BTreeMap<String, String> {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).expect("a zip archive");
    let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    let read = |name: String| {
        let mut text = String::new();
        zip.by_name(&name).unwrap().read_to_string(&mut text).unwrap();
        (name, text)
    };
    names.into_iter().map(read).collect()
}

/// Downloads a copy.
async fn download(client: &Client, export: &str) -> BTreeMap<String, String> {
    let path = format!("/v1/exports/{export}/archive");
    let answer = client.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(answer.headers()["content-type"], "application/zip");
    let length = answer.content_length();
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(length, Some(bytes.len() as u64));
    unzip(&bytes)
}

/// Queues a job by its name, and runs what is due.
async fn run(app: &TestApp, job: &str, payload: Value) {
    sqlx::query("select graphile_worker.add_job($1, $2::json, job_key => $1)")
        .bind(job)
        .bind(json!({ "job": payload }))
        .execute(app.db.pool())
        .await
        .unwrap();
    app.run_jobs().await;
}

fn count_files(directory: &Path) -> usize {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    entries
        .map(|it| it.unwrap().path())
        .map(|it| if it.is_dir() { count_files(&it) } else { 1 })
        .sum()
}
