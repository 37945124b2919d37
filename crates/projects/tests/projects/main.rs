//! The rules of projects, through the API.

mod bulk;
mod drafts;
mod exports;
mod links;
mod list;
mod versions;

use kernel::Id;
use serde_json::{Value, json};
use testing::{Client, TestApp};

/// Makes a project with a name and whatever else is said of it.
async fn make(client: &Client, name: &str, mut more: Value) -> Value {
    more["name"] = name.into();
    client.post("/v1/projects", more).await.ok()
}

/// The same person with a key, which lasts longer than a session.
async fn lasting(client: &Client) -> Client {
    let key = client.post("/v1/api-keys", json!({ "name": "lasting", "scopes": ["*"] })).await.ok();
    client.with_key(key["secret"].as_str().unwrap())
}

/// The address of a project that the API showed.
fn path(project: &Value) -> String {
    format!("/v1/projects/{}", project["id"].as_str().unwrap())
}

/// The names of what an address lists.
async fn names(client: &Client, path: &str) -> Vec<String> {
    let page = client.get(path).await.ok();
    let items = page["items"].as_array().unwrap();
    items.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_new_project_is_shown_and_listed() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = owner.post("/v1/projects", json!({ "name": " Apollo " })).await;
    assert_eq!((made.status.as_u16(), made.header("etag")), (201, Some("\"1\"")));
    let made = made.ok();
    assert_eq!(made["name"], "Apollo");

    assert_eq!(owner.get(&path(&made)).await.ok(), made);
    let mut listed = made;
    (listed["calls"], listed["cost_nano_usd"]) = (json!(0), json!(0));
    assert_eq!(owner.get("/v1/projects").await.ok(), json!({ "items": [listed] }));
}

#[tokio::test]
async fn a_name_is_used_once_per_org_whatever_its_case() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    ours.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();

    let again = ours.post("/v1/projects", json!({ "name": "APOLLO" })).await;
    assert_eq!(again.problem(), (409, "project_name_taken".into()));
    theirs.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();

    let other = ours.post("/v1/projects", json!({ "name": "Gemini" })).await.ok();
    let renamed = ours.patch(&path(&other), json!({ "name": "apollo" })).await;
    assert_eq!(renamed.problem(), (409, "project_name_taken".into()));
}

#[tokio::test]
async fn a_name_that_cannot_be_shown_in_one_line_is_refused_by_name_of_the_field() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = owner.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
    let too_long = "x".repeat(101);
    for reply in [
        owner.post("/v1/projects", json!({ "name": "  " })).await,
        owner.post("/v1/projects", json!({ "name": "two\nlines" })).await,
        owner.patch(&path(&made), json!({ "name": too_long })).await,
    ] {
        assert_eq!(reply.body["errors"][0]["pointer"], "/name");
        assert_eq!(reply.problem(), (422, "invalid_field".into()));
    }
}

#[tokio::test]
async fn a_rename_of_an_outdated_version_is_refused() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = owner.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
    let first = owner.header("if-match", "\"1\"");

    let renamed = first.patch(&path(&made), json!({ "name": "Gemini" })).await;
    assert_eq!(renamed.header("etag"), Some("\"2\""));
    let stale = first.patch(&path(&made), json!({ "name": "Mercury" })).await;
    assert_eq!(stale.problem(), (412, "stale_version".into()));
    assert_eq!(owner.get(&path(&made)).await.ok()["name"], "Gemini");

    owner.patch(&path(&made), json!({ "name": "Mercury" })).await.ok();
}

#[tokio::test]
async fn of_two_renames_of_one_version_at_once_one_wins() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = owner.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
    let (path, first) = (path(&made), owner.header("if-match", "\"1\""));

    let (one, other) = tokio::join!(
        first.patch(&path, json!({ "name": "Gemini" })),
        first.patch(&path, json!({ "name": "Mercury" })),
    );
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

#[tokio::test]
async fn a_deleted_project_is_gone_and_its_name_is_free() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = owner.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
    assert_eq!(owner.delete(&path(&made)).await.status, 204);

    for reply in [
        owner.get(&path(&made)).await,
        owner.patch(&path(&made), json!({ "name": "Gemini" })).await,
        owner.delete(&path(&made)).await,
    ] {
        assert_eq!(reply.problem(), (404, "project_not_found".into()));
    }
    assert_eq!(owner.get("/v1/projects").await.ok(), json!({ "items": [] }));
    owner.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
}

#[tokio::test]
async fn projects_stay_inside_their_org() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    let made = ours.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();

    for reply in [
        theirs.get(&path(&made)).await,
        theirs.patch(&path(&made), json!({ "name": "Gemini" })).await,
        theirs.delete(&path(&made)).await,
    ] {
        assert_eq!(reply.problem(), (404, "project_not_found".into()));
    }
    assert_eq!(theirs.get("/v1/projects").await.ok(), json!({ "items": [] }));
    assert_eq!(ours.get(&path(&made)).await.ok(), made);
}

#[tokio::test]
async fn strangers_see_nothing() {
    let app = TestApp::start().await;
    let reply = app.anonymous().get("/v1/projects").await;
    assert_eq!(reply.problem(), (401, "unauthenticated".into()));
}

#[tokio::test]
async fn what_is_left_out_of_a_change_stays() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = make(&owner, "Apollo", json!({ "text": "To the moon", "folder": "Space" })).await;

    let changed = owner.patch(&path(&made), json!({ "archived": true })).await.ok();
    assert_eq!((&changed["text"], &changed["folder"]), (&json!("To the moon"), &json!("Space")));
    let archived_at = changed["archived_at"].clone();
    let again = json!({ "archived": true, "folder": null, "text": "" });
    let changed = owner.patch(&path(&made), again).await.ok();
    assert_eq!((&changed["text"], &changed["folder"]), (&json!(""), &json!(null)));
    assert_eq!(changed["archived_at"], archived_at);
    let back = owner.patch(&path(&made), json!({ "archived": false })).await.ok();
    assert_eq!((&back["archived_at"], &back["version"]), (&json!(null), &json!(4)));
}

#[tokio::test]
async fn what_nobody_could_show_is_refused_by_name_of_the_field() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = make(&owner, "Apollo", json!({})).await;
    for (field, change) in [
        ("/text", json!({ "text": "x".repeat(50_001) })),
        ("/folder", json!({ "folder": "" })),
        ("/folder", json!({ "folder": "a\tb" })),
    ] {
        let reply = owner.patch(&path(&made), change).await;
        assert_eq!(reply.body["errors"][0]["pointer"], field);
        assert_eq!(reply.problem(), (422, "invalid_field".into()));
    }
}

#[tokio::test]
async fn a_cover_is_an_image_of_ones_own_org() {
    let app = TestApp::start().await;
    let (owner, other) = (app.owner().await, app.owner().await);
    let made = make(&owner, "Apollo", json!({})).await;
    let (image, text) = (asset(&app, &owner, Some(40)).await, asset(&app, &owner, None).await);
    let theirs = asset(&app, &other, Some(40)).await;

    let at = path(&made);
    let with = async |id: &str| owner.patch(&at, json!({ "cover_id": id })).await;
    assert_eq!(with(&image).await.ok()["cover_id"], image);
    assert_eq!(with(&text).await.problem(), (422, "invalid_field".into()));
    assert_eq!(with(&theirs).await.problem(), (404, "asset_not_found".into()));
    assert_eq!(owner.get("/v1/projects").await.ok()["items"][0]["cover_id"], image);

    assert_eq!(owner.delete(&format!("/v1/assets/{image}")).await.status, 204);
    app.run_jobs().await;
    assert_eq!(owner.get(&path(&made)).await.ok()["cover_id"], json!(null));
}

/// A file of the org, as wide as an image is.
async fn asset(app: &TestApp, client: &Client, width: Option<i32>) -> String {
    let id = Id::<()>::new().to_string();
    sqlx::query(
        "insert into assets (id, org_id, name, content_type, bytes, sha256, width, created_at)
         values ($1::uuid, $2, 'a', 'image/png', 1, '', $3, now())",
    )
    .bind(&id)
    .bind(client.org())
    .bind(width)
    .execute(app.db.pool())
    .await
    .unwrap();
    id
}

#[tokio::test]
async fn a_copy_says_the_same_under_a_name_of_its_own() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = make(&owner, "Apollo", json!({ "text": "To the moon", "folder": "Space" })).await;
    let copies = format!("{}/copies", path(&made));

    let (one, other) = tokio::join!(owner.post(&copies, json!({})), owner.post(&copies, json!({})));
    let mut copies = [one.ok(), other.ok()];
    copies.sort_by_key(|it| it["name"].as_str().unwrap().len());
    assert_eq!([&copies[0]["name"], &copies[1]["name"]], ["Apollo (copy)", "Apollo (copy 2)"]);
    for copy in copies {
        assert_eq!((&copy["text"], &copy["folder"]), (&made["text"], &made["folder"]));
        assert_eq!(copy["version"], 1);
    }
}

#[tokio::test]
async fn programs_are_told_of_a_new_project() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let hook = json!({ "url": app.simulators.sink.url(), "events": ["project.created"] });
    owner.post("/v1/webhook-endpoints", hook).await.ok();
    let made = make(&owner, "Apollo", json!({})).await;
    owner.post(&format!("{}/copies", path(&made)), json!({})).await.ok();

    let told: Vec<String> = sqlx::query_scalar(
        "select payload::jsonb->'data'->>'name' from webhook_events order by id",
    )
    .fetch_all(app.db.pool())
    .await
    .unwrap();
    assert_eq!(told, ["Apollo", "Apollo (copy)"]);
}
