//! Organizations and the people in them.

use futures::future::join_all;
use serde_json::{Value, json};
use testing::{Client, TestApp};
use web::Role;

/// Makes room for so many people in the org of `owner`.
pub(crate) async fn seats(app: &TestApp, owner: &Client, seats: i64) {
    sqlx::query("update entitlements set seats = $2 where org_id = $1")
        .bind(owner.org())
        .bind(seats)
        .execute(app.db.pool())
        .await
        .unwrap();
}

pub(crate) fn path(member: &Client) -> String {
    format!("/v1/members/{}", member.user())
}

pub(crate) async fn role(client: &Client) -> Value {
    client.get("/v1/me").await.ok()["role"].clone()
}

#[tokio::test]
async fn somebody_makes_orgs_and_acts_in_the_one_that_a_request_names() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let made = owner.post("/v1/orgs", json!({ "name": "Acme" })).await.ok();
    let id = made["id"].as_str().unwrap();
    let there = owner.header("x-slipway-org", id);

    there.post("/v1/projects", json!({ "name": "There" })).await.ok();

    assert_eq!(there.get("/v1/me").await.ok()["org"]["name"], "Acme");
    assert_eq!(
        owner.get("/v1/me").await.ok()["org"]["id"],
        json!(owner.org()),
        "the session's own"
    );
    assert_eq!(owner.get("/v1/projects").await.ok()["items"], json!([]));
    let list = owner.get("/v1/orgs").await.ok();
    let names: Vec<_> = list["items"].as_array().unwrap().iter().map(|org| &org["name"]).collect();
    assert_eq!(names, ["Ada's organization", "Acme"]);

    owner.put("/v1/sessions/current/org", json!({ "org_id": id })).await.ok_text();
    assert_eq!(owner.get("/v1/me").await.ok()["org"]["id"], id, "from now on");
}

#[tokio::test]
async fn an_org_that_one_does_not_belong_to_is_not_told_from_none() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    let nothing = uuid::Uuid::now_v7().to_string();

    for id in [&theirs.org().to_string(), &nothing] {
        let reply = ours.header("x-slipway-org", id).get("/v1/me").await;
        assert_eq!(reply.problem(), (404, "org_not_found".into()));
        let reply = ours.put("/v1/sessions/current/org", json!({ "org_id": id })).await;
        assert_eq!(reply.problem(), (404, "org_not_found".into()));
    }
    for id in ["", "x", "../..", &format!("{},{}", ours.org(), theirs.org())] {
        let reply = ours.header("x-slipway-org", id).get("/v1/me").await;
        assert_eq!(reply.problem(), (400, "invalid_org".into()), "{id}");
    }
    let key = theirs.post("/v1/api-keys", json!({ "name": "a" })).await.ok();
    let key = theirs.with_key(key["secret"].as_str().unwrap());
    key.header("x-slipway-org", &theirs.org().to_string()).get("/v1/me").await.ok();
    let elsewhere = key.header("x-slipway-org", &ours.org().to_string()).get("/v1/me").await;
    assert_eq!(elsewhere.problem(), (404, "org_not_found".into()), "a key has one org");
    let stranger = app.anonymous().with_key("a.b.c").header("x-slipway-org", &nothing);
    assert_eq!(stranger.get("/v1/me").await.problem().0, 401);
}

#[tokio::test]
async fn a_key_sees_its_own_org_only() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    owner.post("/v1/orgs", json!({ "name": "Secret" })).await.ok();
    let key = owner.post("/v1/api-keys", json!({ "name": "a" })).await.ok();

    let orgs = owner.with_key(key["secret"].as_str().unwrap()).get("/v1/orgs").await.ok();

    assert_eq!(orgs["items"].as_array().unwrap().len(), 1);
    assert_eq!(orgs["items"][0]["id"], json!(owner.org()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_multiplies_free_calls_by_making_orgs() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let made = (0..8).map(|n| owner.post("/v1/orgs", json!({ "name": format!("Org {n}") })));
    let made: Vec<_> =
        join_all(made).await.into_iter().map(|reply| reply.status.as_u16()).collect();

    assert_eq!(
        made.iter().filter(|it| **it == 201).count(),
        2,
        "with the personal one three: {made:?}"
    );
    assert!(made.iter().all(|it| [201, 409].contains(it)), "{made:?}");
}

#[tokio::test]
async fn an_org_is_renamed_by_those_who_run_it_unless_it_has_changed_meanwhile() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let member = app.member(&owner, Role::Member).await;
    let shown = owner.get("/v1/org").await;
    let version = shown.header("etag").unwrap().to_owned();

    let name = json!({ "name": "Acme" });
    let current = owner.header("if-match", &version);
    assert_eq!(current.patch("/v1/org", name.clone()).await.ok()["name"], "Acme");
    assert_eq!(current.patch("/v1/org", name.clone()).await.problem().0, 412);
    assert_eq!(member.patch("/v1/org", name).await.problem(), (403, "forbidden".into()));
    for wrong in [
        json!({ "name": "" }),
        json!({ "name": "a\nb" }),
        json!({ "name": "x".repeat(101) }),
        json!({ "id": owner.org(), "name": "a" }),
        json!({ "created_at": app.clock.now(), "name": "a" }),
        json!({ "suspended_at": null, "name": "a" }),
    ] {
        assert_eq!(owner.patch("/v1/org", wrong.clone()).await.problem().0, 422, "{wrong}");
    }
    assert_eq!(owner.get("/v1/org").await.ok()["name"], "Acme");
}

#[tokio::test]
async fn a_role_given_or_taken_holds_from_the_next_request_on() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let member = app.member(&owner, Role::Member).await;
    assert_eq!(member.get("/v1/api-keys").await.status, 403);

    let changed = owner.patch(&path(&member), json!({ "role": "admin" })).await.ok();

    assert_eq!(changed["role"], "admin");
    assert_eq!(member.get("/v1/api-keys").await.status, 200, "with the token that said member");
    owner.patch(&path(&member), json!({ "role": "viewer" })).await.ok();
    assert_eq!(member.get("/v1/api-keys").await.status, 403);
    assert_eq!(member.post("/v1/projects", json!({ "name": "a" })).await.status, 403);
}

#[tokio::test]
async fn admins_touch_no_owner_and_make_none() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let admin = app.member(&owner, Role::Admin).await;
    let member = app.member(&owner, Role::Member).await;

    for reply in [
        admin.patch(&path(&owner), json!({ "role": "viewer" })).await,
        admin.delete(&path(&owner)).await,
        admin.patch(&path(&member), json!({ "role": "owner" })).await,
    ] {
        assert_eq!(reply.problem(), (403, "forbidden".into()));
    }
    assert_eq!(
        admin.patch(&path(&admin), json!({ "role": "owner" })).await.problem(),
        (409, "own_membership".into())
    );
    admin.patch(&path(&member), json!({ "role": "billing" })).await.ok();
    for refused in
        [json!({ "role": "god" }), json!({ "role": "admin", "user_id": owner.user() }), json!({})]
    {
        assert_eq!(admin.patch(&path(&member), refused).await.problem().0, 422);
    }
}

#[tokio::test]
async fn members_run_nothing() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let other = app.member(&owner, Role::Viewer).await;
    for role in [Role::Member, Role::Billing, Role::Viewer] {
        let member = app.member(&owner, role).await;
        for reply in [
            member
                .post("/v1/invitations", json!({ "email": "a@example.com", "role": "member" }))
                .await,
            member.get("/v1/invitations").await,
            member.patch(&path(&other), json!({ "role": "member" })).await,
            member.delete(&path(&other)).await,
            member.put("/v1/ownership-transfer", json!({ "to_user_id": member.user() })).await,
            member.post("/v1/api-keys", json!({ "name": "a" })).await,
            member.get("/v1/audit-log").await,
        ] {
            assert_eq!(reply.problem(), (403, "forbidden".into()), "{role:?}");
        }
    }
}

#[tokio::test]
async fn the_last_owner_is_neither_demoted_nor_removed_and_does_not_leave() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let other = app.member(&owner, Role::Owner).await;

    assert_eq!(other.patch(&path(&owner), json!({ "role": "admin" })).await.ok()["role"], "admin");

    let refused = (409, "last_owner".to_owned());
    assert_eq!(other.delete("/v1/members/me").await.problem(), refused);
    // A second owner changes the first one, and is then the last.
    app.set_role(&owner, &owner, Role::Owner).await;
    owner.delete(&path(&other)).await.ok_text();
    assert_eq!(owner.delete("/v1/members/me").await.problem(), refused);
    assert_eq!(role(&owner).await, "owner");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_owners_who_leave_at_once_do_not_leave_the_org_without_one() {
    let app = TestApp::start().await;
    for round in 0..10 {
        let one = app.owner().await;
        let other = app.member(&one, Role::Owner).await;

        let (left, other_left) = match round % 3 {
            0 => tokio::join!(one.delete("/v1/members/me"), other.delete("/v1/members/me")),
            1 => {
                let (to_one, to_other) = (path(&one), path(&other));
                tokio::join!(one.delete(&to_other), other.delete(&to_one))
            }
            _ => {
                let (to_one, to_other) = (path(&one), path(&other));
                let viewer = json!({ "role": "viewer" });
                tokio::join!(one.patch(&to_other, viewer.clone()), other.patch(&to_one, viewer))
            }
        };

        let done = [&left, &other_left].iter().filter(|it| it.status.is_success()).count();
        assert_eq!(done, 1, "round {round}: {left:?} {other_left:?}");
        let owners: i64 = sqlx::query_scalar(
            "select count(*) from memberships where org_id = $1 and role = 'owner'",
        )
        .bind(one.org())
        .fetch_one(app.db.pool())
        .await
        .unwrap();
        assert!(owners >= 1, "round {round}");
    }
}

#[tokio::test]
async fn who_is_removed_loses_everything_there_and_nothing_elsewhere() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let admin = app.member(&owner, Role::Admin).await;
    let key = admin.post("/v1/api-keys", json!({ "name": "theirs" })).await.ok();
    let key = admin.with_key(key["secret"].as_str().unwrap());
    key.get("/v1/me").await.ok();

    owner.delete(&path(&admin)).await.ok_text();

    assert_eq!(key.get("/v1/me").await.problem(), (401, "invalid_token".into()));
    let me = admin.get("/v1/me").await.ok();
    assert_ne!(me["org"]["id"], json!(owner.org()), "the session goes on in their own org");
    assert_eq!(me["role"], "owner");
    let there = admin.header("x-slipway-org", &owner.org().to_string());
    assert_eq!(there.get("/v1/projects").await.problem().0, 404);
    assert_eq!(owner.delete(&path(&admin)).await.problem(), (404, "member_not_found".into()));
    app.run_jobs().await;
    let mails = app.simulators.mailbox.messages_to(&admin.email);
    assert!(mails.iter().any(|mail| mail.text.as_ref().unwrap().contains("no longer a member")));
    // Who comes back does not find keys of before alive.
    let keys = owner.get("/v1/api-keys").await.ok();
    assert_eq!(keys["items"], json!([]));
}

#[tokio::test]
async fn who_has_no_other_org_when_they_are_removed_or_leave_gets_one_of_their_own() {
    let app = TestApp::start().await;
    for leaves in [true, false] {
        let owner = app.owner().await;
        let member = app.member(&owner, Role::Member).await;
        let own = "delete from memberships where user_id = $1 and org_id <> $2";
        let own = sqlx::query(own).bind(member.user()).bind(owner.org());
        own.execute(app.db.pool()).await.unwrap();

        if leaves {
            member.delete("/v1/members/me").await.ok_text();
        } else {
            owner.delete(&path(&member)).await.ok_text();
        }

        let me = member.get("/v1/me").await.ok();
        assert_eq!((&me["role"], &me["tier"]), (&json!("owner"), &json!("free")), "{me}");
        assert_ne!(me["org"]["id"], json!(owner.org()));
        member.post("/v1/projects", json!({ "name": "goes on" })).await.ok();
        let orgs = member.get("/v1/orgs").await.ok();
        assert_eq!(orgs["items"].as_array().unwrap().len(), 1);
        let log = member.get("/v1/audit-log?action=org.created").await.ok();
        assert_eq!(log["items"][0]["actor_kind"], "system", "it does not tell who removed them");
        let again = crate::sign_in(&app, &member.email, testing::PASSWORD).await;
        assert_eq!(again.status, 201);
    }
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_removed_from_two_orgs_at_once_has_one_afterwards() {
    let app = TestApp::start().await;
    for _ in 0..5 {
        let (one, other) = (app.owner().await, app.owner().await);
        let member = app.member(&one, Role::Member).await;
        let move_to = "update memberships set org_id = $1, role = 'member'
                       where user_id = $2 and org_id <> $3";
        let move_to = sqlx::query(move_to).bind(other.org()).bind(member.user()).bind(one.org());
        move_to.execute(app.db.pool()).await.unwrap();
        let member_path = path(&member);

        let (left, right) = tokio::join!(one.delete(&member_path), other.delete(&member_path));

        assert!(left.status.is_success() && right.status.is_success(), "{left:?} {right:?}");
        let me = member.get("/v1/me").await.ok();
        assert_eq!(me["role"], "owner");
        let orgs = member.get("/v1/orgs").await.ok();
        assert_eq!(orgs["items"].as_array().unwrap().len(), 1, "{orgs}");
    }
}

#[tokio::test]
async fn nobody_is_made_the_owner_of_more_free_orgs_than_they_may_make() {
    let app = TestApp::start().await;
    let sink = app.owner().await;
    for n in 0..2 {
        sink.post("/v1/orgs", json!({ "name": format!("Org {n}") })).await.ok();
    }
    let owner = app.owner().await;
    let member = app.member(&owner, Role::Admin).await;
    let join = "insert into memberships (org_id, user_id, role, created_at) values ($1, $2, 'admin', now())";
    sqlx::query(join).bind(owner.org()).bind(sink.user()).execute(app.db.pool()).await.unwrap();
    let refused = (409, "too_many_organizations".to_owned());

    let promoted = owner.patch(&path(&sink), json!({ "role": "owner" })).await;
    assert_eq!(promoted.problem(), refused);
    owner.put("/v1/ownership-transfer", json!({ "to_user_id": sink.user() })).await.ok();
    let there = sink.header("x-slipway-org", &owner.org().to_string());
    let accepted = there.post("/v1/ownership-transfer/acceptance", json!({})).await;
    assert_eq!(accepted.problem(), refused);
    owner.patch(&path(&member), json!({ "role": "owner" })).await.ok();

    let paid = "update entitlements set tier = 'pro' where org_id = $1";
    sqlx::query(paid).bind(owner.org()).execute(app.db.pool()).await.unwrap();
    there.post("/v1/ownership-transfer/acceptance", json!({})).await.ok_text();
}

#[tokio::test]
async fn a_change_to_what_somebody_is_already_is_none() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let member = app.member(&owner, Role::Member).await;

    let same = owner.patch(&path(&member), json!({ "role": "member" })).await.ok();

    assert_eq!(same["role"], "member");
    let log = owner.get("/v1/audit-log?action=member.").await.ok();
    assert_eq!(log["items"], json!([]));
    assert_eq!(crate::mails(&app, "notice").await, 0);
}

#[tokio::test]
async fn a_key_has_no_more_rights_than_its_maker_has_now() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let admin = app.member(&owner, Role::Admin).await;
    let key = admin.post("/v1/api-keys", json!({ "name": "theirs", "scopes": ["*"] })).await.ok();
    let key = admin.with_key(key["secret"].as_str().unwrap());
    key.get("/v1/audit-log").await.ok();
    key.post("/v1/projects", json!({ "name": "a" })).await.ok();

    owner.patch(&path(&admin), json!({ "role": "viewer" })).await.ok();

    assert_eq!(key.get("/v1/audit-log").await.problem(), (403, "forbidden".into()));
    let write = key.post("/v1/projects", json!({ "name": "b" })).await;
    assert_eq!(write.problem(), (403, "forbidden".into()));
    key.get("/v1/projects").await.ok();
}

#[tokio::test]
async fn members_are_listed_page_by_page() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for _ in 0..3 {
        app.member(&owner, Role::Viewer).await;
    }
    let first = owner.get("/v1/members?limit=3").await.ok();
    let next = format!("/v1/members?limit=3&cursor={}", first["next_cursor"].as_str().unwrap());
    let second = owner.get(&next).await.ok();

    assert_eq!(first["items"].as_array().unwrap().len(), 3);
    assert_eq!(second["items"].as_array().unwrap().len(), 1);
    assert_eq!(first["items"][0]["email"], owner.email);
    assert_eq!(first["items"][0]["role"], "owner");
}
