use serde_json::json;
use testing::TestApp;

#[tokio::test]
async fn people_and_orgs_are_found_and_read_in_pages() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let people = [app.owner().await, app.owner().await, app.owner().await];

    for list in ["users", "orgs"] {
        let first = operator.get(&format!("/admin/v1/{list}?limit=2")).await.ok();
        let cursor = first["next_cursor"].as_str().unwrap();
        let second = operator.get(&format!("/admin/v1/{list}?limit=2&cursor={cursor}")).await.ok();
        let ids: Vec<_> = [&first, &second]
            .iter()
            .flat_map(|page| page["items"].as_array().unwrap())
            .map(|item| item["id"].clone())
            .collect();
        let newest_first = people.iter().rev().map(|it| match list {
            "users" => json!(it.user()),
            _ => json!(it.org()),
        });
        assert_eq!(ids, newest_first.collect::<Vec<_>>(), "{list}");
        assert!(second["next_cursor"].is_null());
        assert_eq!(operator.get(&format!("/admin/v1/{list}?cursor=x")).await.problem().0, 400);
    }
    let found = operator.get(&format!("/admin/v1/users?search={}", people[1].email)).await.ok();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    assert_eq!(found["items"][0]["id"], json!(people[1].user()));
    let text = found.to_string();
    for secret in ["password", "hash", "token", "totp"] {
        assert!(!text.contains(secret), "{text}");
    }
    let nobody = format!("/admin/v1/users/{}", uuid::Uuid::now_v7());
    assert_eq!(operator.get(&nobody).await.problem(), (404, "user_not_found".into()));
    let sql = operator.get("/admin/v1/users?search=%27%20or%201=1--").await.ok();
    assert_eq!(sql["items"], json!([]));
}
