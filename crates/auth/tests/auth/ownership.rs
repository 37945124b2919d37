//! Handing an organization over.

use chrono::TimeDelta;
use serde_json::json;
use testing::TestApp;
use web::Role;

use crate::{
    count, execute,
    orgs::{path, role},
};

#[tokio::test]
async fn ownership_goes_over_when_it_is_accepted_and_not_before() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (heir, other) =
        (app.member(&owner, Role::Member).await, app.member(&owner, Role::Admin).await);
    let offer = json!({ "to_user_id": heir.user() });
    let acceptance = "/v1/ownership-transfer/acceptance";

    assert_eq!(heir.post(acceptance, json!({})).await.problem(), (404, "no_transfer".into()));
    owner.put("/v1/ownership-transfer", offer.clone()).await.ok();
    assert_eq!((role(&owner).await, role(&heir).await), (json!("owner"), json!("member")));
    assert_eq!(other.post(acceptance, json!({})).await.problem(), (404, "no_transfer".into()));
    assert_eq!(other.delete("/v1/ownership-transfer").await.problem().0, 404);
    heir.post(acceptance, json!({})).await.ok_text();

    assert_eq!((role(&owner).await, role(&heir).await), (json!("admin"), json!("owner")));
    assert_eq!(heir.post(acceptance, json!({})).await.problem().0, 404, "once");
    let stranger = app.owner().await;
    let outside = json!({ "to_user_id": stranger.user() });
    let refused = heir.put("/v1/ownership-transfer", outside).await;
    assert_eq!(refused.problem(), (404, "member_not_found".into()));
    assert_eq!(owner.put("/v1/ownership-transfer", offer).await.problem().0, 403);
}

#[tokio::test]
async fn a_session_alone_does_not_hand_an_org_over() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let heir = app.member(&owner, Role::Member).await;
    let offer = json!({ "to_user_id": heir.user() });
    let acceptance = "/v1/ownership-transfer/acceptance";
    owner.put("/v1/ownership-transfer", offer.clone()).await.ok();
    app.advance(TimeDelta::minutes(11));

    let again = owner.put("/v1/ownership-transfer", offer).await;
    assert_eq!(again.problem(), (401, "reauthentication_required".into()));
    assert_eq!(
        heir.post(acceptance, json!({})).await.problem(),
        (401, "reauthentication_required".into())
    );
    heir.post("/v1/reauthentications", json!({ "password": testing::PASSWORD })).await.ok_text();
    heir.post(acceptance, json!({})).await.ok_text();
}

#[tokio::test]
async fn an_offer_of_ownership_lapses_is_withdrawn_and_dies_with_its_maker() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let heir = app.member(&owner, Role::Member).await;
    let second = app.member(&owner, Role::Owner).await;
    let offer = json!({ "to_user_id": heir.user() });
    let acceptance = "/v1/ownership-transfer/acceptance";

    owner.put("/v1/ownership-transfer", offer.clone()).await.ok();
    heir.delete("/v1/ownership-transfer").await.ok_text();
    assert_eq!(heir.post(acceptance, json!({})).await.problem().0, 404, "declined");

    owner.put("/v1/ownership-transfer", offer.clone()).await.ok();
    second.patch(&path(&owner), json!({ "role": "admin" })).await.ok();
    assert_eq!(heir.post(acceptance, json!({})).await.problem().0, 404, "no longer an owner's");

    second.put("/v1/ownership-transfer", offer).await.ok();
    execute(&app, "update ownership_transfers set expires_at = '2000-01-01'").await;
    assert_eq!(heir.post(acceptance, json!({})).await.problem().0, 404, "too late");
    assert_eq!(count(&app, "select count(*) from memberships where role = 'owner'").await, 3);
}
