use chrono::TimeDelta;
use serde_json::json;
use testing::TestApp;

use super::{
    Device, SITE, add, answer, ask, first_factor, refused, register, send, sign_in_with, start,
};
use crate::{count, execute, mails, sign_in};

#[tokio::test]
async fn an_answer_counts_once_even_at_the_same_time() {
    let app = start().await;
    let owner = app.owner().await;
    let (mut device, _) = add(&owner, "My phone").await;
    let proof = answer(&ask(&app, None).await, &mut device);

    let (one, two) = tokio::join!(send(&app, &proof), send(&app, &proof));

    assert_eq!(usize::from(one.status == 201) + usize::from(two.status == 201), 1);
    let replayed = send(&app, &proof).await;
    assert_eq!(replayed.problem(), (400, "invalid_passkey_ceremony".into()));
    let other = ask(&app, None).await;
    let other = json!({ "ceremony": other["ceremony"], "credential": proof["credential"] });
    assert_eq!(send(&app, &other).await.problem(), refused(), "it answers another challenge");
}

#[tokio::test]
async fn an_answer_of_another_page_or_site_or_without_a_pin_signs_nobody_in() {
    let app = start().await;
    let owner = app.owner().await;
    let (mut device, _) = add(&owner, "My phone").await;

    for origin in [
        "https://slipway.example.evil.test",
        "https://evil.slipway.example",
        "http://slipway.example",
        "https://slipway.example:444",
    ] {
        device.origin = origin.to_owned();
        assert_eq!(sign_in_with(&app, &mut device).await.problem(), refused(), "{origin}");
    }
    device.origin = SITE.to_owned();
    device.site = "evil.test".to_owned();
    assert_eq!(sign_in_with(&app, &mut device).await.problem(), refused());
    device.site = "slipway.example".to_owned();
    device.verifies = false;
    assert_eq!(sign_in_with(&app, &mut device).await.problem(), refused());
    device.verifies = true;
    sign_in_with(&app, &mut device).await.ok();
}

#[tokio::test]
async fn a_passkey_is_not_made_for_another_page_or_site_or_without_a_pin() {
    let app = start().await;
    let owner = app.owner().await;
    let unacceptable = (400, "unacceptable_passkey".to_owned());

    let mut device = Device::new("https://evil.test");
    assert_eq!(register(&owner, &mut device, "a").await.problem(), unacceptable);
    device.site = "slipway.example".to_owned();
    assert_eq!(register(&owner, &mut device, "a").await.problem(), unacceptable);
    device.origin = SITE.to_owned();
    device.verifies = false;
    assert_eq!(register(&owner, &mut device, "a").await.problem(), unacceptable);
    device.verifies = true;
    register(&owner, &mut device, "a").await.ok();

    let again = register(&app.owner().await, &mut device, "a").await;
    assert_eq!(again.problem(), unacceptable, "it is somebody else's");
}

#[tokio::test]
async fn nobody_signs_in_as_somebody_else() {
    let app = start().await;
    let (ada, bob) = (app.owner().await, app.owner().await);
    let (mut adas, _) = add(&ada, "Ada's").await;
    let (mut bobs, _) = add(&bob, "Bob's").await;

    let asked = ask(&app, Some(&first_factor(&app, &ada).await)).await;
    assert_eq!(send(&app, &answer(&asked, &mut bobs)).await.problem(), refused());
    let asked = ask(&app, Some(&first_factor(&app, &ada).await)).await;
    let bobs_holder = bobs.holder.take();
    assert_eq!(send(&app, &answer(&asked, &mut bobs)).await.problem(), refused());
    bobs.holder.clone_from(&adas.holder);
    assert_eq!(sign_in_with(&app, &mut bobs).await.problem(), refused());
    bobs.holder = None;
    assert_eq!(sign_in_with(&app, &mut bobs).await.problem(), refused(), "it tells nobody's name");
    let asked = ask(&app, Some(&first_factor(&app, &ada).await)).await;
    let hers = std::mem::replace(&mut adas.holder, bobs_holder);
    assert_eq!(send(&app, &answer(&asked, &mut adas)).await.problem(), refused(), "it says Bob's");
    adas.holder = hers;
    sign_in_with(&app, &mut adas).await.ok();

    let begun = ada.post("/v1/me/passkey-registrations", json!({})).await.ok();
    let credential = Device::new(SITE).create(&begun["public_key"]);
    let new = json!({ "ceremony": begun["ceremony"], "credential": credential, "name": "a" });
    let taken = bob.post("/v1/me/passkeys", new).await;
    assert_eq!(taken.problem(), (400, "invalid_passkey_ceremony".into()));
}

#[tokio::test]
async fn what_asks_for_a_passkey_is_good_for_five_minutes_and_one_thing() {
    let app = start().await;
    let owner = app.owner().await;
    let (mut device, _) = add(&owner, "My phone").await;
    let gone = (400, "invalid_passkey_ceremony".to_owned());

    let asked = ask(&app, None).await;
    app.advance(TimeDelta::minutes(5));
    assert_eq!(send(&app, &answer(&asked, &mut device)).await.problem(), gone);
    let begun = owner.post("/v1/me/passkey-registrations", json!({})).await.ok();
    assert_eq!(send(&app, &answer(&begun, &mut device)).await.problem(), gone);
    let proof = owner.post("/v1/me/passkey-ceremonies", json!({})).await.ok();
    assert_eq!(send(&app, &answer(&proof, &mut device)).await.problem(), gone);

    app.advance(TimeDelta::minutes(6));
    assert_eq!(count(&app, "select count(*) from passkey_ceremonies").await, 3);
    purge(&app).await;
    assert_eq!(count(&app, "select count(*) from passkey_ceremonies").await, 0);
}

/// What runs every night.
async fn purge(app: &TestApp) {
    let job = "select from graphile_worker.add_job(
                     'auth.purge_sessions', json_build_object('job', json_build_object()))";
    execute(app, job).await;
    app.run_jobs().await;
}

#[tokio::test]
async fn a_removed_passkey_opens_nothing_and_what_it_was_asked_for_neither() {
    let app = start().await;
    let owner = app.owner().await;
    let (mut device, added) = add(&owner, "My phone").await;
    let asked = ask(&app, Some(&first_factor(&app, &owner).await)).await;
    let free = ask(&app, None).await;

    owner.delete(&format!("/v1/me/passkeys/{}", added["id"].as_str().unwrap())).await;

    let late = send(&app, &answer(&asked, &mut device)).await;
    assert_eq!(late.problem(), (400, "invalid_passkey_ceremony".into()));
    assert_eq!(send(&app, &answer(&free, &mut device)).await.problem(), refused());
}

#[tokio::test]
async fn a_passkey_that_there_seem_to_be_two_of_is_refused_for_good_and_its_owner_told() {
    let app = start().await;
    let owner = app.owner().await;
    let (mut device, _) = add(&owner, "My key").await;
    for _ in 0..2 {
        sign_in_with(&app, &mut device).await.ok();
    }
    let told = mails(&app, "security_notice").await;
    device.count = 0;

    assert_eq!(sign_in_with(&app, &mut device).await.problem(), refused());

    device.count = 100;
    assert_eq!(sign_in_with(&app, &mut device).await.problem(), refused(), "whoever has which");
    assert_eq!(mails(&app, "security_notice").await, told + 1);
    let written = "select count(*) from audit_events where action = 'passkey.copied'";
    assert_eq!(count(&app, written).await, 1);
    let listed = owner.get("/v1/me/passkeys").await.ok();
    assert!(listed["items"][0]["copied_at"].is_string(), "{listed}");
    let half = sign_in(&app, &owner.email, testing::PASSWORD).await;
    assert_eq!(half.body["passkey"], false, "none that would do");
    assert_eq!(half.problem(), (401, "second_factor_required".into()), "whoever copied it");
}

#[tokio::test]
async fn uses_of_one_passkey_at_once_are_counted_one_by_one() {
    let app = start().await;
    let owner = app.owner().await;
    let (mut device, _) = add(&owner, "My key").await;
    let (one, two) = (ask(&app, None).await, ask(&app, None).await);
    let same = device.count;
    let one = answer(&one, &mut device);
    device.count = same;
    let two = answer(&two, &mut device);

    let (one, two) = tokio::join!(send(&app, &one), send(&app, &two));

    assert_eq!(usize::from(one.status == 201) + usize::from(two.status == 201), 1);
}

#[tokio::test]
async fn a_disabled_account_stays_out_with_a_passkey_too() {
    let app = start().await;
    let owner = app.owner().await;
    let (mut device, _) = add(&owner, "My phone").await;
    let path = format!("/admin/v1/users/{}/suspension", owner.user());
    app.operator().await.put(&path, json!({ "reason": "abuse" })).await.ok();

    let reply = sign_in_with(&app, &mut device).await;

    assert_eq!(reply.problem(), (403, "account_disabled".into()));
}

#[tokio::test]
async fn there_are_no_passkeys_where_the_product_has_no_name() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let none = (409, "no_passkeys_here".to_owned());

    assert_eq!(owner.post("/v1/me/passkey-registrations", json!({})).await.problem(), none);
    let asked = app.anonymous().post("/v1/passkey-ceremonies", json!({})).await;
    assert_eq!(asked.problem(), none);
}
