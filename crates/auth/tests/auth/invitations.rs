//! Asking people into an org.

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use testing::{Client, TestApp};
use web::Role;

use crate::{count, last_link, orgs::seats};

fn invitation(email: &str, role: &str) -> Value {
    json!({ "email": email, "role": role })
}

/// Invites somebody, and reads the link from the mail.
async fn invite(app: &TestApp, owner: &Client, email: &str) -> String {
    owner.post("/v1/invitations", invitation(email, "member")).await.ok();
    app.run_jobs().await;
    last_link(app, email)
}

async fn role_in(app: &TestApp, owner: &Client, member: &Client) -> Option<String> {
    sqlx::query_scalar("select role from memberships where org_id = $1 and user_id = $2")
        .bind(owner.org())
        .bind(member.user())
        .fetch_optional(app.db.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn who_opens_the_link_of_their_mail_and_presses_the_button_is_in() {
    let app = TestApp::start().await;
    let (owner, guest) = (app.owner().await, app.owner().await);
    seats(&app, &owner, 5).await;
    let link = invite(&app, &owner, &guest.email).await;

    // As a mail scanner does, any number of times.
    for _ in 0..3 {
        let page = app.anonymous().header("accept", "text/html").get(&link).await.ok_text();
        assert!(page.contains("<form method=\"post\">"), "{page}");
    }
    assert_eq!(role_in(&app, &owner, &guest).await, None);
    let page = app.anonymous().header("accept", "text/html").post(&link, json!({})).await.ok_text();
    assert!(page.contains("You are in"), "{page}");

    let there = guest.header("x-slipway-org", &owner.org().to_string());
    assert_eq!(there.get("/v1/me").await.ok()["role"], "member");
    assert_eq!(owner.get("/v1/invitations").await.ok()["items"], json!([]));
    let log = owner.get("/v1/audit-log?action=invitation.").await.ok();
    assert_eq!(log["items"][0]["action"], "invitation.accepted");
    assert_eq!(log["items"][0]["actor_id"], json!(guest.user()));
}

#[tokio::test]
async fn an_invitation_is_for_one_address_once_and_nothing_in_a_body_changes_it() {
    let app = TestApp::start().await;
    let (owner, guest, other) = (app.owner().await, app.owner().await, app.owner().await);
    seats(&app, &owner, 5).await;
    let link = invite(&app, &owner, &guest.email).await;

    let refused = other.post(&link, json!({})).await;
    assert_eq!(refused.problem(), (403, "forbidden".into()), "signed in as somebody else");
    assert_eq!(role_in(&app, &owner, &other).await, None);
    let raised = json!({ "role": "owner", "email": other.email, "user_id": other.user() });
    assert_eq!(guest.post(&link, raised).await.ok()["role"], "member");
    assert_eq!(role_in(&app, &owner, &guest).await.as_deref(), Some("member"));
    assert_eq!(role_in(&app, &owner, &other).await, None);
    assert_eq!(guest.post(&link, json!({})).await.problem(), (400, "invalid_link".into()), "twice");
}

#[tokio::test]
async fn an_invitation_that_was_revoked_renewed_or_is_too_old_does_nothing() {
    let app = TestApp::start().await;
    let (owner, guest) = (app.owner().await, app.owner().await);
    seats(&app, &owner, 5).await;
    let invalid = (400, "invalid_link".to_owned());
    let first = invite(&app, &owner, &guest.email).await;
    let id = owner.get("/v1/invitations").await.ok()["items"][0]["id"].as_str().unwrap().to_owned();

    owner.post(&format!("/v1/invitations/{id}/mails"), json!({})).await.ok();
    app.run_jobs().await;
    let second = last_link(&app, &guest.email);
    assert_ne!(first, second);
    assert_eq!(guest.post(&first, json!({})).await.problem(), invalid, "renewed");
    owner.delete(&format!("/v1/invitations/{id}")).await.ok_text();
    assert_eq!(guest.post(&second, json!({})).await.problem(), invalid, "revoked");
    let again = owner.post(&format!("/v1/invitations/{id}/mails"), json!({})).await;
    assert_eq!(again.problem(), (404, "invitation_not_found".into()));

    let third = invite(&app, &owner, &guest.email).await;
    app.advance(TimeDelta::days(7));
    assert_eq!(app.anonymous().post(&third, json!({})).await.problem(), invalid, "too old");
    let guessed = "/v1/invitation-links/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    assert_eq!(app.anonymous().post(guessed, json!({})).await.problem(), invalid);
    assert_eq!(role_in(&app, &owner, &guest).await, None);
}

#[tokio::test]
async fn who_has_no_account_is_told_to_make_one_and_the_link_waits() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    seats(&app, &owner, 5).await;
    let link = invite(&app, &owner, "new@example.com").await;

    let refused = app.anonymous().post(&link, json!({})).await;

    assert_eq!(refused.problem(), (409, "account_needed".into()));
    let registration = auth::Registration {
        email: "new@example.com".parse().unwrap(),
        name: auth::Name::new("New").unwrap(),
        password: testing::PASSWORD.into(),
    };
    app.auth.register_verified(&registration).await.unwrap();
    app.anonymous().post(&link, json!({})).await.ok();
}

#[tokio::test]
async fn an_account_whose_address_nobody_confirmed_is_none_to_invite() {
    let app = TestApp::start().await;
    let (owner, guest) = (app.owner().await, app.owner().await);
    seats(&app, &owner, 5).await;
    let link = invite(&app, &owner, &guest.email).await;
    let unconfirmed = "update users set email_verified_at = null where id = $1";
    sqlx::query(unconfirmed).bind(guest.user()).execute(app.db.pool()).await.unwrap();

    let refused = app.anonymous().post(&link, json!({})).await;

    assert_eq!(refused.problem(), (409, "account_needed".into()));
    assert_eq!(guest.post(&link, json!({})).await.problem(), (403, "forbidden".into()));
    assert_eq!(role_in(&app, &owner, &guest).await, None);
}

#[tokio::test]
async fn the_link_lets_its_address_register_where_that_takes_a_code() {
    let app =
        TestApp::start_with(|settings| settings.auth.sign_up.sign_up = auth::SignUp::Invite).await;
    let owner = app.owner().await;
    seats(&app, &owner, 5).await;
    let link = invite(&app, &owner, "new@example.com").await;
    let code = link.rsplit('/').next().unwrap();
    let register = async |email: &str, code: &str| {
        let mut new = crate::registration(email);
        new["invite_code"] = json!(code);
        app.anonymous().post("/v1/users", new).await
    };

    let other = register("other@example.com", code).await;
    assert_eq!(other.problem(), (403, "invalid_invite_code".into()), "for one address");
    assert_eq!(register("new@example.com", code).await.status, 202);
    app.run_jobs().await;
    let confirm = crate::link_in(&app, "new@example.com", "Confirm");
    app.anonymous().post(&confirm, crate::proof()).await.ok();
    app.anonymous().post(&link, json!({})).await.ok();
    let late = register("new@example.com", code).await;
    assert_eq!(late.problem(), (403, "invalid_invite_code".into()), "used up");
}

#[tokio::test]
async fn nonsense_and_repetitions_are_refused() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    seats(&app, &owner, 5).await;
    let member = app.member(&owner, Role::Viewer).await;
    for body in [
        invitation("nobody", "member"),
        invitation("a@example.com", "owner"),
        invitation("a@example.com", "god"),
        invitation("a@example.com\r\nBcc: b@example.com", "member"),
        json!({ "email": "a@example.com" }),
        json!({ "email": "a@example.com", "role": "member", "org_id": owner.org() }),
    ] {
        assert_eq!(owner.post("/v1/invitations", body.clone()).await.problem().0, 422, "{body}");
    }
    let twice = owner.post("/v1/invitations", invitation(&member.email, "admin")).await;
    assert_eq!(twice.problem(), (409, "already_a_member".into()));
    owner.post("/v1/invitations", invitation("a@example.com", "member")).await.ok();
    let twice = owner.post("/v1/invitations", invitation("A@example.com", "admin")).await;
    assert_eq!(twice.problem(), (409, "already_invited".into()));
    assert_eq!(count(&app, "select count(*) from invitations").await, 1);
}

#[tokio::test]
async fn a_plan_without_a_seat_left_invites_nobody() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let full = owner.post("/v1/invitations", invitation("a@example.com", "member")).await;
    assert_eq!(full.problem(), (409, "no_seat_left".into()));
    let org = owner.get("/v1/org").await.ok();
    assert_eq!((&org["seats_taken"], &org["seats"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn an_org_with_more_people_than_seats_keeps_them_and_gets_nobody_new() {
    let app = TestApp::start().await;
    let (owner, guest) = (app.owner().await, app.owner().await);
    let member = app.member(&owner, Role::Member).await;
    seats(&app, &owner, 5).await;
    let link = invite(&app, &owner, &guest.email).await;

    seats(&app, &owner, 1).await;

    member.post("/v1/projects", json!({ "name": "goes on" })).await.ok();
    let full = (409, "no_seat_left".to_owned());
    let invited = owner.post("/v1/invitations", invitation("a@example.com", "member")).await;
    assert_eq!(invited.problem(), full);
    assert_eq!(guest.post(&link, json!({})).await.problem(), full);
    seats(&app, &owner, 3).await;
    guest.post(&link, json!({})).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_with_fewer_seats_and_one_more_member_do_not_miss_each_other() {
    let app = TestApp::start().await;
    let (owner, guest) = (app.owner().await, app.owner().await);
    seats(&app, &owner, 2).await;
    let link = invite(&app, &owner, &guest.email).await;
    // The plan is being changed, by a transaction that is not over.
    let mut change = app.db.begin().await.unwrap();
    sqlx::query("update entitlements set seats = 1").execute(&mut *change).await.unwrap();

    let accepting = tokio::spawn(async move { guest.post(&link, json!({})).await });
    let waiting = "select count(*) from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'";
    while count(&app, waiting).await == 0 {
        assert!(!accepting.is_finished(), "it does not wait for the change");
        tokio::task::yield_now().await;
    }
    change.commit().await.unwrap();

    assert_eq!(accepting.await.unwrap().problem(), (409, "no_seat_left".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_accept_at_once_as_many_get_in_as_there_are_seats() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    seats(&app, &owner, 3).await;
    let mut links = Vec::new();
    for _ in 0..8 {
        let guest = app.owner().await;
        links.push(invite(&app, &owner, &guest.email).await);
    }

    let replies = join_all(links.iter().map(|link| {
        let client = app.anonymous();
        async move { client.post(link, json!({})).await }
    }))
    .await;

    let (joined, refused): (Vec<_>, Vec<_>) =
        replies.into_iter().partition(|reply| reply.status.is_success());
    assert_eq!(joined.len(), 2);
    for reply in refused {
        assert_eq!(reply.problem(), (409, "no_seat_left".into()));
    }
    let org = owner.get("/v1/org").await.ok();
    assert_eq!((&org["seats_taken"], &org["seats"]), (&json!(3), &json!(3)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_link_pressed_many_times_at_once_lets_one_in() {
    let app = TestApp::start().await;
    let (owner, guest) = (app.owner().await, app.owner().await);
    seats(&app, &owner, 5).await;
    let link = invite(&app, &owner, &guest.email).await;

    let replies = join_all((0..6).map(|_| guest.post(&link, json!({})))).await;

    assert_eq!(replies.iter().filter(|it| it.status.is_success()).count(), 1);
    assert!(replies.iter().all(|it| it.status == 200 || it.status == 400), "{replies:?}");
}

#[tokio::test]
async fn an_invitation_holds_no_link_or_markup_but_ours() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    seats(&app, &owner, 5).await;
    let name = "<img onerror=x> {{7*7}} Click https://evil.example \u{202E}";
    owner.patch("/v1/org", json!({ "name": name })).await.ok();

    invite(&app, &owner, "guest@example.com").await;

    let mails = app.simulators.mailbox.messages_to("guest@example.com");
    let mail = mails.last().unwrap();
    let expected = format!("{} invites you", owner.email);
    assert!(mail.text.as_ref().unwrap().contains(&expected), "{mail:?}");
    assert!(mail.links.iter().all(|link| link.starts_with(&app.url)), "{:?}", mail.links);
    let text = mail.text.as_ref().unwrap();
    for part in [&mail.subject, text] {
        assert!(!part.contains("https://evil") && !part.contains('\u{202E}'), "{part}");
    }
    assert!(!text.contains("<img"), "{text}");
}
