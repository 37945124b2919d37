use chrono::TimeDelta;
use kernel::Id;
use serde_json::{Value, json};
use testing::{Client, TestApp};

use crate::{lasting, make, names, path};

async fn change(client: &Client, projects: &[&Value], mut change: Value) -> testing::Reply {
    let ids: Vec<_> = projects.iter().map(|it| it["id"].clone()).collect();
    change["ids"] = ids.into();
    client.patch("/v1/projects", change).await
}

#[tokio::test]
async fn many_are_archived_moved_deleted_and_restored_at_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (a, b) = (make(&owner, "A", json!({})).await, make(&owner, "B", json!({})).await);
    make(&owner, "C", json!({ "folder": "Old" })).await;
    let both = [&a, &b];
    let list = async |query: &str| names(&owner, &format!("/v1/projects?sort=name&{query}")).await;

    let old = json!({ "archived": true, "folder": "Old" });
    assert_eq!(change(&owner, &both, old).await.status, 204);
    assert_eq!(list("").await, ["C"]);
    assert_eq!(list("state=archived&folder=Old").await, ["A", "B"]);
    let folders = owner.get("/v1/project-folders").await.ok();
    assert_eq!(folders, json!([{ "name": "Old", "projects": 1 }]));

    assert_eq!(change(&owner, &both, json!({ "deleted": true })).await.status, 204);
    assert_eq!(list("state=archived").await, [""; 0]);
    assert_eq!(list("state=deleted").await, ["A", "B"]);
    let back = json!({ "deleted": false, "archived": false });
    assert_eq!(change(&owner, &both, back).await.status, 204);
    assert_eq!(list("").await, ["A", "B", "C"]);
    assert_eq!(owner.get(&path(&a)).await.header("etag"), Some("\"4\""));
}

#[tokio::test]
async fn all_of_many_are_changed_or_none() {
    let app = TestApp::start().await;
    let (owner, other) = (app.owner().await, app.owner().await);
    let ours = make(&owner, "Apollo", json!({})).await;
    let theirs = make(&other, "Gemini", json!({})).await;
    let gone = make(&owner, "Mercury", json!({})).await;
    owner.delete(&path(&gone)).await;
    let nothing = json!({ "id": Id::<()>::new().to_string() });

    for missing in [&theirs, &gone, &nothing] {
        let reply = change(&owner, &[&ours, missing], json!({ "archived": true })).await;
        assert_eq!(reply.problem(), (404, "project_not_found".into()));
    }
    assert_eq!(owner.get(&path(&ours)).await.ok(), ours);
    assert_eq!(other.get(&path(&theirs)).await.ok(), theirs);
    let too_many = vec![&nothing; 0];
    assert_eq!(change(&owner, &too_many, json!({ "archived": true })).await.status, 422);
}

#[tokio::test]
async fn a_project_whose_name_is_taken_meanwhile_is_not_restored() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (first, other) =
        (make(&owner, "Apollo", json!({})).await, make(&owner, "Gemini", json!({})).await);
    change(&owner, &[&first, &other], json!({ "deleted": true })).await;
    make(&owner, "apollo", json!({})).await;

    let reply = change(&owner, &[&first, &other], json!({ "deleted": false })).await;
    assert_eq!(reply.problem(), (409, "project_name_taken".into()));
    assert_eq!(names(&owner, "/v1/projects").await, ["apollo"], "all or none");
    assert_eq!(change(&owner, &[&other], json!({ "deleted": false })).await.status, 204);
}

#[tokio::test]
async fn changes_of_the_same_many_wait_for_each_other() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let mut made = Vec::new();
    for number in 0..20 {
        made.push(make(&owner, &format!("P{number}"), json!({})).await);
    }
    let (forth, back) = (made.iter().collect::<Vec<_>>(), made.iter().rev().collect::<Vec<_>>());
    for _ in 0..5 {
        let (one, other) = tokio::join!(
            change(&owner, &forth, json!({ "archived": true })),
            change(&owner, &back, json!({ "archived": false })),
        );
        assert_eq!((one.status.as_u16(), other.status.as_u16()), (204, 204));
    }
    assert_eq!(owner.get(&path(&made[0])).await.ok()["version"], 11);
}

#[tokio::test]
async fn a_deleted_project_is_erased_when_its_time_is_over_and_not_before() {
    let app = TestApp::start().await;
    let owner = lasting(&app.owner().await).await;
    let made = make(&owner, "Apollo", json!({})).await;
    make(&owner, "Gemini", json!({})).await;
    owner.delete(&path(&made)).await;

    for (days, left) in [(30, 1), (1, 0)] {
        app.advance(TimeDelta::days(days));
        purge(&app).await;
        let deleted: i64 =
            sqlx::query_scalar("select count(*) from projects where deleted_at is not null")
                .fetch_one(app.db.pool())
                .await
                .unwrap();
        assert_eq!(deleted, left, "after {days} days more");
    }
    let gone = change(&owner, &[&made], json!({ "deleted": false })).await;
    assert_eq!(gone.problem(), (404, "project_not_found".into()));
    let left: i64 =
        sqlx::query_scalar("select count(*) from projects").fetch_one(app.db.pool()).await.unwrap();
    assert_eq!(left, 1, "what is in use stays");
}

/// Has what the scheduler queues at night done.
pub(crate) async fn purge(app: &TestApp) {
    sqlx::query("select graphile_worker.add_job('projects.purge', '{\"job\": {}}')")
        .execute(app.db.pool())
        .await
        .unwrap();
    app.run_jobs().await;
}
