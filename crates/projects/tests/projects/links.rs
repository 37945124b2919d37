use chrono::TimeDelta;
use serde_json::{Value, json};
use testing::{Client, Reply, TestApp};

use crate::{lasting, make, path};

/// A new link to a project: what is shown of it, and its path.
async fn link(app: &TestApp, client: &Client, project: &Value, days: i64) -> (Value, String) {
    let input = json!({ "expires_in_days": days });
    let link = client.post(&format!("{}/links", path(project)), input).await.ok();
    let path = link["url"].as_str().unwrap().strip_prefix(&app.settings.public_url().to_string());
    let path = format!("/{}", path.unwrap());
    (link, path)
}

fn is_gone(reply: Reply) {
    assert_eq!(reply.problem(), (404, "invalid_project_link".into()));
}

#[tokio::test]
async fn anybody_reads_a_project_by_a_link_and_nothing_of_whose_it_is() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = make(&owner, "Apollo", json!({ "text": "To the moon", "folder": "Space" })).await;
    let (link, url) = link(&app, &owner, &made, 7).await;

    let nobody = app.anonymous();
    for _ in 0..2 {
        let seen = nobody.get(&url).await;
        assert_eq!(seen.header("x-robots-tag"), Some("noindex, nofollow"));
        assert_eq!(seen.header("cache-control"), Some("no-store"));
        let seen = seen.ok();
        let expected = json!({
            "name": "Apollo", "text": "To the moon", "updated_at": made["updated_at"],
        });
        assert_eq!(seen, expected);
    }
    let links = owner.get(&format!("{}/links", path(&made))).await.ok();
    assert_eq!((&links[0]["id"], &links[0]["views"]), (&link["id"], &json!(2)));
    let secret = url.rsplit('/').next().unwrap();
    assert!(secret.len() >= 43 && !links.to_string().contains(secret), "it is shown once");
    let kept: i64 = sqlx::query_scalar(
        "select count(*) from project_links where strpos(project_links::text, $1) > 0",
    )
    .bind(secret)
    .fetch_one(app.db.pool())
    .await
    .unwrap();
    assert_eq!(kept, 0, "only its hash is kept");
    is_gone(nobody.get("/v1/project-links/guess").await);
    assert_eq!(nobody.patch(&url, json!({ "name": "Mine" })).await.status, 405);
}

#[tokio::test]
async fn views_at_once_are_all_counted() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = make(&owner, "Apollo", json!({})).await;
    let (_, url) = link(&app, &owner, &made, 7).await;
    let nobody = app.anonymous();
    let views = (0..20).map(|_| async { nobody.get(&url).await.ok() });
    futures::future::join_all(views).await;
    let links = owner.get(&format!("{}/links", path(&made))).await.ok();
    assert_eq!(links[0]["views"], 20);
}

#[tokio::test]
async fn a_link_works_until_it_is_over_or_revoked() {
    let app = TestApp::start().await;
    let (owner, other) = (app.owner().await, app.owner().await);
    let made = make(&owner, "Apollo", json!({})).await;
    let theirs = make(&other, "Gemini", json!({})).await;
    let (short, short_url) = link(&app, &owner, &made, 1).await;
    let (_, long_url) = link(&app, &owner, &made, 3).await;
    let nobody = app.anonymous();

    let revoke = |project: &Value, link: &Value| {
        format!("{}/links/{}", path(project), link["id"].as_str().unwrap())
    };
    let reply = other.delete(&revoke(&made, &short)).await;
    assert_eq!(reply.problem(), (404, "project_not_found".into()));
    let reply = other.delete(&revoke(&theirs, &short)).await;
    assert_eq!(reply.problem(), (404, "project_link_not_found".into()));
    nobody.get(&short_url).await.ok();
    assert_eq!(owner.delete(&revoke(&made, &short)).await.status, 204);
    is_gone(nobody.get(&short_url).await);

    for action in ["project_link.created", "project_link.revoked"] {
        let log = owner.get(&format!("/v1/audit-log?action={action}")).await.ok();
        assert!(!log["items"].as_array().unwrap().is_empty(), "{action}");
    }

    app.advance(TimeDelta::days(3) - TimeDelta::seconds(1));
    nobody.get(&long_url).await.ok();
    app.advance(TimeDelta::seconds(1));
    is_gone(nobody.get(&long_url).await);
}

#[tokio::test]
async fn a_link_dies_with_its_project_and_its_org() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (made, other) =
        (make(&owner, "Apollo", json!({})).await, make(&owner, "Gemini", json!({})).await);
    let ((_, of_deleted), (_, of_suspended)) =
        (link(&app, &owner, &made, 7).await, link(&app, &owner, &other, 7).await);
    let nobody = app.anonymous();

    owner.delete(&path(&made)).await;
    is_gone(nobody.get(&of_deleted).await);
    let back = json!({ "ids": [made["id"]], "deleted": false });
    assert_eq!(owner.patch("/v1/projects", back).await.status, 204);
    nobody.get(&of_deleted).await.ok();

    nobody.get(&of_suspended).await.ok();
    let suspend = "update orgs set suspended_at = now(), suspension_reason = 'x' where id = $1";
    sqlx::query(suspend).bind(owner.org()).execute(app.db.pool()).await.unwrap();
    is_gone(nobody.get(&of_suspended).await);

    let back = "update orgs set suspended_at = null, suspension_reason = null where id = $1";
    sqlx::query(back).bind(owner.org()).execute(app.db.pool()).await.unwrap();
    nobody.get(&of_suspended).await.ok();
    // As a deletion begins; what is in the org is erased later.
    let dissolve = "delete from memberships where org_id = $1";
    sqlx::query(dissolve).bind(owner.org()).execute(app.db.pool()).await.unwrap();
    is_gone(nobody.get(&of_suspended).await);
}

#[tokio::test]
async fn a_project_has_a_hundred_links_and_those_that_are_over_make_room() {
    let app = TestApp::start().await;
    let owner = lasting(&app.owner().await).await;
    let made = make(&owner, "Apollo", json!({})).await;
    for _ in 0..100 {
        link(&app, &owner, &made, 1).await;
    }
    let url = format!("{}/links", path(&made));
    let reply = owner.post(&url, json!({})).await;
    assert_eq!(reply.problem(), (409, "too_many_project_links".into()));
    app.advance(TimeDelta::days(1));
    owner.post(&url, json!({})).await.ok();
    assert_eq!(owner.get(&url).await.ok().as_array().unwrap().len(), 1);
    for days in [0, 366] {
        let reply = owner.post(&url, json!({ "expires_in_days": days })).await;
        assert_eq!(reply.problem(), (422, "invalid_field".into()));
    }
}
