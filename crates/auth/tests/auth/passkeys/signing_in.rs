use chrono::TimeDelta;
use serde_json::json;
use testing::PASSWORD;

use super::{add, answer, ask, first_factor, send, sign_in_with, start};
use crate::sign_in;

#[tokio::test]
async fn a_passkey_signs_in_alone_and_tells_whose_it_is() {
    let app = start().await;
    let owner = app.owner().await;
    let (mut device, _) = add(&owner, "My phone").await;
    let asked = ask(&app, None).await;
    assert_eq!(asked["expires_in"], 300);
    assert_eq!(asked["public_key"]["rpId"], "slipway.example");
    assert_eq!(asked["public_key"]["userVerification"], "required");
    assert_eq!(asked["public_key"]["allowCredentials"], json!([]));

    let session = send(&app, &answer(&asked, &mut device)).await.ok();

    let signed_in = owner.with_key(session["access_token"].as_str().unwrap());
    let me = signed_in.get("/v1/me").await.ok();
    assert_eq!(me["user"]["id"], owner.user().to_string());
    let listed = signed_in.get("/v1/me/passkeys").await.ok();
    assert!(listed["items"][0]["last_used_at"].is_string(), "{listed}");
    sign_in_with(&app, &mut device).await.ok();
}

#[tokio::test]
async fn a_passkey_proves_the_second_factor_without_telling_whose_it_is() {
    let app = start().await;
    let owner = app.owner().await;
    let (mut device, _) = add(&owner, "My key").await;
    let (mut other, _) = add(&owner, "My phone").await;
    device.holder = None;
    let challenge = first_factor(&app, &owner).await;
    let asked = ask(&app, Some(&challenge)).await;
    let allowed = asked["public_key"]["allowCredentials"].as_array().unwrap();
    assert_eq!(allowed.len(), 2, "{asked}");

    send(&app, &answer(&asked, &mut device)).await.ok();

    let asked = ask(&app, Some(&challenge)).await;
    send(&app, &answer(&asked, &mut other)).await.ok();
    let unknown = json!({ "challenge": "nonsense" });
    let unknown = app.anonymous().post("/v1/passkey-ceremonies", unknown).await;
    assert_eq!(unknown.problem(), (401, "invalid_challenge".into()));
}

#[tokio::test]
async fn a_browser_gets_its_session_in_cookies() {
    let app = start().await;
    let owner = app.owner().await;
    let (mut device, _) = add(&owner, "My laptop").await;
    let mut proof = answer(&ask(&app, None).await, &mut device);
    proof["transport"] = json!("cookie");

    let session = send(&app, &proof).await;

    assert_eq!(session.status, 201);
    assert!(session.body.get("access_token").is_none(), "{session:?}");
    let cookies: Vec<_> = session.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 2, "{cookies:?}");
}

#[tokio::test]
async fn once_there_is_a_passkey_the_password_alone_signs_nobody_in() {
    let app = start().await;
    let owner = app.owner().await;
    let other = sign_in(&app, &owner.email, PASSWORD).await.ok();
    let other = owner.with_key(other["access_token"].as_str().unwrap());

    let (_, added) = add(&owner, "My phone").await;

    let codes = added["recovery_codes"].as_array().unwrap();
    assert_eq!(codes.len(), 10);
    assert_eq!(other.get("/v1/me").await.status, 401, "it came in without");
    owner.get("/v1/me").await.ok();
    let state = owner.get("/v1/me/second-factor").await.ok();
    assert_eq!((&state["on"], &state["passkeys"]), (&json!(true), &json!(1)), "{state}");
    assert_eq!(
        (&state["authenticator"], &state["recovery_codes_left"]),
        (&json!(false), &json!(10))
    );
    let challenge = first_factor(&app, &owner).await;
    let proof = json!({ "challenge": challenge, "code": codes[0] });
    app.anonymous().post("/v1/sessions/second-factor", proof).await.ok();

    let (_, another) = add(&owner, "My laptop").await;
    assert_eq!(another["recovery_codes"], json!([]), "the first ones still hold");
}

#[tokio::test]
async fn a_new_password_by_mail_does_not_get_around_a_passkey() {
    let app = start().await;
    let owner = app.owner().await;
    let (mut device, _) = add(&owner, "My phone").await;
    let site = super::SITE;
    app.anonymous().post("/v1/password-resets", json!({ "email": owner.email })).await;
    app.run_jobs().await;
    let mails = app.simulators.mailbox.messages_to(&owner.email);
    let mail = mails.iter().find(|mail| mail.subject.contains("new password")).expect("a mail");
    let link = mail.links[0].strip_prefix(site).expect("a link to us");
    let new = "an entirely different phrase";
    app.anonymous().post(link, json!({ "password": new })).await.ok();

    let half = sign_in(&app, &owner.email, new).await;

    assert_eq!(half.problem(), (401, "second_factor_required".into()));
    sign_in_with(&app, &mut device).await.ok();
}

#[tokio::test]
async fn a_passkey_proves_again_who_is_signed_in() {
    let app = start().await;
    let (owner, other) = (app.owner().await, app.owner().await);
    let (mut device, _) = add(&owner, "My phone").await;
    let (mut theirs, _) = add(&other, "Another phone").await;
    app.advance(TimeDelta::minutes(11));
    let stale = owner.post("/v1/me/passkey-registrations", json!({})).await;
    assert_eq!(stale.problem(), (401, "reauthentication_required".into()));

    let asked = owner.post("/v1/me/passkey-ceremonies", json!({})).await.ok();
    let wrong = json!({ "passkey": answer(&asked, &mut theirs) });
    let wrong = owner.post("/v1/reauthentications", wrong).await;
    assert_eq!(wrong.problem(), super::refused());
    let signed_in = ask(&app, None).await;
    let elsewhere = json!({ "passkey": answer(&signed_in, &mut device) });
    let elsewhere = owner.post("/v1/reauthentications", elsewhere).await;
    assert_eq!(elsewhere.problem(), (400, "invalid_passkey_ceremony".into()));
    let asked = owner.post("/v1/me/passkey-ceremonies", json!({})).await.ok();
    let proof = json!({ "passkey": answer(&asked, &mut device) });
    let theirs = other.post("/v1/reauthentications", proof).await;
    assert_eq!(theirs.problem(), (400, "invalid_passkey_ceremony".into()));
    let asked = owner.post("/v1/me/passkey-ceremonies", json!({})).await.ok();
    let proof = json!({ "passkey": answer(&asked, &mut device) });
    assert_eq!(owner.post("/v1/reauthentications", proof).await.status, 204);

    owner.post("/v1/me/passkey-registrations", json!({})).await.ok();
}
