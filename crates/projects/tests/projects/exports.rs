use std::{
    collections::BTreeMap,
    io::{Cursor, Read},
};

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use testing::{Client, TestApp};
use zip::ZipArchive;

use crate::{lasting, make, path};

/// Has an archive made; answers the job.
async fn export(app: &TestApp, client: &Client, project: &Value) -> String {
    let queued = client.post(&format!("{}/exports", path(project)), json!({})).await;
    assert_eq!(queued.status, 202);
    let job = queued.header("location").unwrap().to_owned();
    app.run_jobs().await;
    job
}

/// What came of it.
async fn made(client: &Client, job: &str) -> Value {
    client.get(&format!("{job}/items")).await.ok()[0]["result"].clone()
}

async fn download(client: &Client, archive: &str) -> BTreeMap<String, String> {
    let answer = client.request(Method::GET, archive).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(answer.headers()["content-type"], "application/zip");
    let mut zip = ZipArchive::new(Cursor::new(answer.bytes().await.unwrap())).unwrap();
    let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
    let read = |name: String| {
        let mut content = Vec::new();
        zip.by_name(&name).unwrap().read_to_end(&mut content).unwrap();
        (name, String::from_utf8_lossy(&content).into_owned())
    };
    names.into_iter().map(read).collect()
}

#[tokio::test]
async fn an_archive_has_what_a_project_says_said_and_shows() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let project = make(&owner, "../../etc", json!({ "text": "one" })).await;
    let gif = [&b"GIF89a\x01\0\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;"[..]].concat();
    let image = upload(&owner, "image/gif", &gif).await;
    let change = json!({ "text": "two", "cover_id": image });
    owner.patch(&path(&project), change).await.ok();

    let job = export(&app, &owner, &project).await;
    let result = made(&owner, &job).await;
    let files = download(&owner, result["path"].as_str().unwrap()).await;
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(names, ["cover.gif", "project.json", "text.txt", "versions/1.txt"]);
    assert_eq!((files["text.txt"].as_str(), files["versions/1.txt"].as_str()), ("two", "one"));
    let described: Value = serde_json::from_str(&files["project.json"]).unwrap();
    assert_eq!(described, owner.get(&path(&project)).await.ok());

    let text = owner.get(&format!("{}/text", path(&project))).await;
    assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(text.ok_text(), "two");
}

async fn upload(client: &Client, content_type: &str, content: &[u8]) -> String {
    let file = json!({ "name": "a", "content_type": content_type, "bytes": content.len() });
    let upload = client.post("/v1/uploads", file).await.ok();
    let path = format!("/v1/uploads/{}", upload["id"].as_str().unwrap());
    let part = client.request(Method::PUT, &format!("{path}/parts/1")).body(content.to_vec());
    assert!(part.send().await.unwrap().status().is_success());
    let asset = client.post(&format!("{path}/completion"), json!({})).await.ok();
    asset["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_archive_is_for_ones_own_org_and_some_days() {
    let app = TestApp::start().await;
    let (owner, other) = (lasting(&app.owner().await).await, app.owner().await);
    let project = make(&owner, "Apollo", json!({})).await;
    let refused = other.post(&format!("{}/exports", path(&project)), json!({})).await;
    assert_eq!(refused.problem(), (404, "project_not_found".into()));
    let job = export(&app, &owner, &project).await;
    let archive = made(&owner, &job).await["path"].as_str().unwrap().to_owned();
    let gone = (404, "project_export_not_found".to_owned());
    assert_eq!(other.get(&archive).await.problem(), gone);
    assert_eq!(app.anonymous().get(&archive).await.problem().0, 401);

    app.advance(TimeDelta::days(7) - TimeDelta::seconds(1));
    purge(&app).await;
    download(&owner, &archive).await;
    app.advance(TimeDelta::seconds(1));
    assert_eq!(owner.get(&archive).await.problem(), gone);
    let kept = || app.settings.storage.storage_dir.join(format!("orgs/{}/exports", owner.org()));
    assert_eq!(kept().read_dir().unwrap().count(), 1);
    purge(&app).await;
    assert_eq!(kept().read_dir().map_or(0, Iterator::count), 0);
}

#[tokio::test]
async fn an_archive_that_was_never_finished_is_removed_too() {
    let app = TestApp::start().await;
    let owner = lasting(&app.owner().await).await;
    let project = make(&owner, "Apollo", json!({})).await;
    let job = export(&app, &owner, &project).await;
    let archive = made(&owner, &job).await["path"].as_str().unwrap().to_owned();
    // As if the worker had died just before it said so; and then the project goes for good.
    sqlx::query("update project_exports set bytes = null").execute(app.db.pool()).await.unwrap();
    assert_eq!(owner.get(&archive).await.problem().0, 404);
    sqlx::query("delete from projects").execute(app.db.pool()).await.unwrap();

    app.advance(TimeDelta::days(7));
    purge(&app).await;
    let folder = app.settings.storage.storage_dir.join(format!("orgs/{}/exports", owner.org()));
    assert_eq!(folder.read_dir().map_or(0, Iterator::count), 0);
    let rows: i64 = sqlx::query_scalar("select count(*) from project_exports")
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    assert_eq!(rows, 0);
}

/// Has what the scheduler queues every hour done.
async fn purge(app: &TestApp) {
    sqlx::query("select graphile_worker.add_job('projects.purge_exports', '{\"job\": {}}')")
        .execute(app.db.pool())
        .await
        .unwrap();
    app.run_jobs().await;
}
