use chrono::TimeDelta;
use serde_json::json;

use super::{Device, SITE, add, register, sign_in_with, start};
use crate::{count, execute, mails, sign_in, turn_on_second_factor};

#[tokio::test]
async fn passkeys_are_listed_renamed_and_removed_by_their_owner_alone() {
    let app = start().await;
    let (owner, other) = (app.owner().await, app.owner().await);
    let (mut device, added) = add(&owner, "My phone").await;
    let path = format!("/v1/me/passkeys/{}", added["id"].as_str().unwrap());
    let new = json!({ "name": "My old phone" });
    let missing = (404, "passkey_not_found".to_owned());
    assert_eq!(other.patch(&path, new.clone()).await.problem(), missing);
    assert_eq!(other.delete(&path).await.problem(), missing);
    assert_eq!(other.get("/v1/me/passkeys").await.ok()["items"], json!([]));
    let nameless = owner.patch(&path, json!({ "name": " " })).await;
    assert_eq!(nameless.status, 422);

    owner.patch(&path, new).await.ok();

    let listed = owner.get("/v1/me/passkeys").await.ok();
    assert_eq!(listed["items"][0]["name"], "My old phone");
    assert!(listed["items"][0].get("credential").is_none(), "{listed}");
    assert_eq!(owner.delete(&path).await.status, 204);
    assert_eq!(owner.delete(&path).await.problem(), missing);
    assert_eq!(sign_in_with(&app, &mut device).await.problem(), super::refused());
    let written = "select count(*) from audit_events
                   where action in ('passkey.added', 'passkey.removed')";
    assert_eq!(count(&app, written).await, 2);
    assert_eq!(mails(&app, "security_notice").await, 2);
}

#[tokio::test]
async fn the_last_passkey_takes_the_second_factor_with_it_unless_there_is_an_authenticator() {
    let app = start().await;
    let owner = app.owner().await;
    let (_, first) = add(&owner, "My phone").await;
    let (_, last) = add(&owner, "My key").await;
    let other = sign_in_with_code(&app, &owner, &first["recovery_codes"][0]).await;
    let remove = async |added: &serde_json::Value| {
        let path = format!("/v1/me/passkeys/{}", added["id"].as_str().unwrap());
        assert_eq!(owner.delete(&path).await.status, 204);
    };
    remove(&first).await;
    assert_eq!(other.get("/v1/me").await.status, 401, "the lost phone may be signed in");
    assert_eq!(sign_in(&app, &owner.email, testing::PASSWORD).await.status, 401);
    remove(&last).await;
    sign_in(&app, &owner.email, testing::PASSWORD).await.ok();
    assert_eq!(count(&app, "select count(*) from recovery_codes").await, 0);

    turn_on_second_factor(&app, &owner).await;
    let (_, third) = add(&owner, "My laptop").await;
    assert_eq!(third["recovery_codes"], json!([]));
    remove(&third).await;
    let half = sign_in(&app, &owner.email, testing::PASSWORD).await;
    assert_eq!(half.body["passkey"], false);
    assert_eq!(half.problem(), (401, "second_factor_required".into()));
    assert_eq!(count(&app, "select count(*) from recovery_codes").await, 10);
}

async fn sign_in_with_code(
    app: &testing::TestApp,
    owner: &testing::Client,
    code: &serde_json::Value,
) -> testing::Client {
    let challenge = super::first_factor(app, owner).await;
    let proof = json!({ "challenge": challenge, "code": code });
    let session = app.anonymous().post("/v1/sessions/second-factor", proof).await.ok();
    owner.with_key(session["access_token"].as_str().unwrap())
}

#[tokio::test]
async fn an_authenticator_that_is_turned_off_leaves_the_passkeys() {
    let app = start().await;
    let owner = app.owner().await;
    let (totp, _) = turn_on_second_factor(&app, &owner).await;
    add(&owner, "My phone").await;
    let code = json!({ "code": app.totp_code(&totp) });

    assert_eq!(owner.post("/v1/me/second-factor/removal", code).await.status, 204);

    super::first_factor(&app, &owner).await;
    assert_eq!(count(&app, "select count(*) from recovery_codes").await, 10);
}

#[tokio::test]
async fn the_only_way_in_is_not_removed() {
    let app = start().await;
    let owner = app.owner().await;
    let (_, added) = add(&owner, "My phone").await;
    execute(&app, "update users set password_hash = null").await;

    let reply = owner.delete(&format!("/v1/me/passkeys/{}", added["id"].as_str().unwrap())).await;

    assert_eq!(reply.problem(), (409, "only_way_in".into()));
    assert_eq!(count(&app, "select count(*) from passkeys").await, 1);

    let (_, copied) = add(&owner, "My key").await;
    assert!(copied["id"].is_string(), "{copied}");
    execute(&app, "update passkeys set copied_at = now() where name = 'My key'").await;
    let reply = owner.delete(&format!("/v1/me/passkeys/{}", added["id"].as_str().unwrap())).await;
    assert_eq!(reply.problem(), (409, "only_way_in".into()), "a copied one opens nothing");
}

#[tokio::test]
async fn who_has_a_passkey_may_give_up_the_account_elsewhere_and_not_both() {
    let app = start().await;
    let owner = app.owner().await;
    let (_, added) = add(&owner, "My phone").await;
    execute(&app, "update users set password_hash = null").await;
    let elsewhere = "insert into identities
                         (id, user_id, provider, issuer, subject, created_at, last_used_at)
                     select gen_random_uuid(), user_id, 'google', 'https://id.example', '1', now(), now()
                     from passkeys";
    execute(&app, elsewhere).await;
    let listed = owner.get("/v1/me/identities").await.ok();
    let identity = listed["items"][0]["id"].as_str().unwrap();

    assert_eq!(owner.delete(&format!("/v1/me/identities/{identity}")).await.status, 204);

    let reply = owner.delete(&format!("/v1/me/passkeys/{}", added["id"].as_str().unwrap())).await;
    assert_eq!(reply.problem(), (409, "only_way_in".into()));
}

#[tokio::test]
async fn a_passkey_is_not_made_in_a_session_that_has_ended() {
    let app = start().await;
    let owner = app.owner().await;
    let begun = owner.post("/v1/me/passkey-registrations", json!({})).await.ok();
    let credential = Device::new(SITE).create(&begun["public_key"]);
    let new = json!({ "ceremony": begun["ceremony"], "credential": credential, "name": "a" });
    // Somebody has just taken the account back, while the request waits for its turn.
    let mut taken_back = app.db.begin().await.unwrap();
    sqlx::query("select from users where id = $1 for update")
        .bind(owner.user())
        .execute(&mut *taken_back)
        .await
        .unwrap();
    let adding = {
        let owner = owner.clone();
        tokio::spawn(async move { owner.post("/v1/me/passkeys", new).await })
    };
    let waits = "select count(*) from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock'";
    testing::eventually("it waits", async || count(&app, waits).await == 1).await;
    sqlx::query("update sessions set revoked_at = now() where user_id = $1")
        .bind(owner.user())
        .execute(&mut *taken_back)
        .await
        .unwrap();
    taken_back.commit().await.unwrap();

    assert_eq!(adding.await.unwrap().status, 401);
    assert_eq!(count(&app, "select count(*) from passkeys").await, 0);
}

#[tokio::test]
async fn an_authenticator_that_is_not_on_is_not_turned_off() {
    let app = start().await;
    let owner = app.owner().await;
    let (_, added) = add(&owner, "My phone").await;
    owner.post("/v1/me/second-factor", json!({})).await.ok();
    let code = json!({ "code": added["recovery_codes"][0] });

    let reply = owner.post("/v1/me/second-factor/removal", code).await;

    assert_eq!(reply.problem(), (409, "second_factor_is_off".into()));
    assert_eq!(count(&app, "select count(*) from recovery_codes").await, 10, "none is used up");
}

#[tokio::test]
async fn adding_and_removing_take_a_recent_sign_in() {
    let app = start().await;
    let owner = app.owner().await;
    let (_, added) = add(&owner, "My phone").await;
    let begun = owner.post("/v1/me/passkey-registrations", json!({})).await.ok();
    let credential = Device::new(SITE).create(&begun["public_key"]);
    app.advance(TimeDelta::minutes(11));
    let path = format!("/v1/me/passkeys/{}", added["id"].as_str().unwrap());
    let new = json!({ "ceremony": begun["ceremony"], "credential": credential, "name": "a" });

    for reply in [
        owner.post("/v1/me/passkey-registrations", json!({})).await,
        owner.post("/v1/me/passkeys", new).await,
        owner.patch(&path, json!({ "name": "a" })).await,
        owner.delete(&path).await,
    ] {
        assert_eq!(reply.problem(), (401, "reauthentication_required".into()));
    }
}

#[tokio::test]
async fn there_are_twenty_at_most_and_none_twice() {
    let app = start().await;
    let owner = app.owner().await;
    let (mut device, _) = add(&owner, "The first").await;
    let begun = owner.post("/v1/me/passkey-registrations", json!({})).await.ok();
    let excluded = begun["public_key"]["excludeCredentials"].as_array().unwrap();
    assert_eq!(excluded.len(), 1, "{begun}");
    assert_eq!(begun["public_key"]["authenticatorSelection"]["residentKey"], "preferred");
    let twice = register(&owner, &mut device, "Again").await;
    assert_eq!(twice.problem(), (400, "unacceptable_passkey".into()));
    for _ in 1..19 {
        add(&owner, "Another").await;
    }
    // There is room for one more when both begin.
    let late = owner.post("/v1/me/passkey-registrations", json!({})).await.ok();
    add(&owner, "The twentieth").await;
    let credential = Device::new(SITE).create(&late["public_key"]);
    let late = json!({ "ceremony": late["ceremony"], "credential": credential, "name": "Late" });
    let late = owner.post("/v1/me/passkeys", late).await;
    assert_eq!(late.problem(), (409, "too_many_passkeys".into()));

    let full = owner.post("/v1/me/passkey-registrations", json!({})).await;

    assert_eq!(full.problem(), (409, "too_many_passkeys".into()));
}

#[tokio::test]
async fn an_operator_who_resets_the_second_factor_removes_the_passkeys() {
    let app = start().await;
    let owner = app.owner().await;
    let (mut device, _) = add(&owner, "My phone").await;
    let path = format!("/admin/v1/users/{}/second-factor-reset", owner.user());
    let operator = app.operator().await;

    assert_eq!(operator.post(&path, json!({})).await.status, 204);

    assert_eq!(sign_in_with(&app, &mut device).await.problem(), super::refused());
    sign_in(&app, &owner.email, testing::PASSWORD).await.ok();
    let twice = operator.post(&path, json!({})).await;
    assert_eq!(twice.problem(), (409, "second_factor_is_off".into()));
}

#[tokio::test]
async fn whoever_takes_their_address_back_is_rid_of_passkeys_that_others_added() {
    let app = start().await;
    let owner = app.owner().await;
    let (mut device, _) = add(&owner, "A thief's").await;
    owner.post("/v1/me/email-changes", json!({ "email": "thief@example.com" })).await;
    app.run_jobs().await;
    let mails = app.simulators.mailbox.messages_to(&owner.email);
    let links = mails.iter().flat_map(|mail| &mail.links);
    let mut links = links.filter(|link| link.contains("reversals"));
    let link = links.next().expect("a link that undoes it").strip_prefix(SITE).expect("to us");

    app.anonymous().post(link, json!({})).await.ok();

    assert_eq!(sign_in_with(&app, &mut device).await.problem(), super::refused());
    assert_eq!(count(&app, "select count(*) from recovery_codes").await, 0, "nor of codes");
}
