use chrono::TimeDelta;
use serde_json::json;
use testing::{Client, PASSWORD, TestApp};

use crate::{
    ask_for_reset, count, link_in, mails, sign_in,
    social::{go, person},
    turn_on_second_factor,
};

const NEW: &str = "ada.new@example.com";
const CONFIRM: &str = "Confirm your new";
const UNDO: &str = "about to change";

async fn ask(app: &TestApp, client: &Client, new: &str) {
    let asked = client.post("/v1/me/email-changes", json!({ "email": new })).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    app.run_jobs().await;
}

#[tokio::test]
async fn an_address_changes_when_the_new_one_confirms_and_not_before() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    ask(&app, &owner, NEW).await;
    assert_eq!(owner.get("/v1/me").await.ok()["user"]["email"], owner.email);
    let link = link_in(&app, NEW, CONFIRM);
    app.anonymous().get(&link).await.ok_text();
    assert_eq!(owner.get("/v1/me").await.ok()["user"]["email"], owner.email);

    assert_eq!(app.anonymous().post(&link, json!({})).await.ok(), json!({ "email": NEW }));

    assert_eq!(owner.get("/v1/me").await.ok()["user"]["email"], NEW);
    assert_eq!(sign_in(&app, NEW, PASSWORD).await.status, 201);
    assert_eq!(sign_in(&app, &owner.email, PASSWORD).await.status, 401);
    let again = app.anonymous().post(&link, json!({})).await;
    assert_eq!(again.problem(), (400, "invalid_link".into()));
}

#[tokio::test]
async fn the_old_address_is_told_and_takes_the_account_back_before_or_after() {
    let app = TestApp::start().await;
    for confirm in [false, true] {
        let owner = app.owner().await;
        let key = owner.post("/v1/api-keys", json!({ "name": "The thief's" })).await.ok();
        app.simulators.identity.set_person(person(&format!("{confirm}"), "thief@example.com"));
        let gone = go(&owner, "/v1/me/identities", "simulator").await;
        assert_eq!(gone.come_back().await.status, 204);
        let new = format!("{confirm}@example.com");
        ask(&app, &owner, &new).await;
        let (confirmation, undo) =
            (link_in(&app, &new, CONFIRM), link_in(&app, &owner.email, UNDO));
        if confirm {
            app.anonymous().post(&confirmation, json!({})).await.ok();
        }

        app.anonymous().get(&undo).await.ok_text();
        let undone = app.anonymous().post(&undo, json!({})).await.ok();

        assert_eq!(undone, json!({ "email": owner.email }));
        let late = app.anonymous().post(&confirmation, json!({})).await;
        assert_eq!(late.problem(), (400, "invalid_link".into()));
        assert_eq!(owner.get("/v1/me").await.status, 401, "the thief's session");
        let key = app.anonymous().with_key(key["secret"].as_str().unwrap());
        assert_eq!(key.get("/v1/me").await.status, 401, "the thief's key");
        let linked = "select count(*) from identities";
        assert_eq!(count(&app, linked).await, 0, "the thief's account elsewhere");
        assert_eq!(sign_in(&app, &owner.email, PASSWORD).await.status, 401, "the thief's password");
        app.run_jobs().await;
        let reset = link_in(&app, &owner.email, "new password");
        let chosen = "an entirely different phrase";
        app.anonymous().post(&reset, json!({ "password": chosen })).await.ok();
        assert_eq!(sign_in(&app, &owner.email, chosen).await.status, 201);
    }
}

#[tokio::test]
async fn whoever_took_an_account_over_cannot_take_the_way_back_away() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    ask(&app, &owner, NEW).await;
    let undo = link_in(&app, &owner.email, UNDO);
    app.anonymous().post(&link_in(&app, NEW, CONFIRM), json!({})).await.ok();
    // On to another address, and another password.
    ask(&app, &owner, "further@example.com").await;
    let further = link_in(&app, "further@example.com", CONFIRM);
    app.anonymous().post(&further, json!({})).await.ok();
    let reset = ask_for_reset(&app, "further@example.com").await;
    app.anonymous().post(&reset, json!({ "password": "mine from now on, ha" })).await.ok();
    app.advance(TimeDelta::days(13));

    app.anonymous().post(&undo, json!({})).await.ok();

    assert_eq!(sign_in(&app, "further@example.com", "mine from now on, ha").await.status, 401);
    let late = app.anonymous().post(&undo, json!({})).await;
    assert_eq!(late.problem(), (400, "invalid_link".into()));
}

#[tokio::test]
async fn whoever_takes_their_address_back_is_rid_of_an_authenticator_that_was_turned_on_since() {
    let app = TestApp::start().await;
    let (owner, careful) = (app.owner().await, app.owner().await);
    let (theirs, _) = turn_on_second_factor(&app, &careful).await;
    for (client, new) in [(&owner, NEW), (&careful, "careful.new@example.com")] {
        ask(&app, client, new).await;
        let undo = link_in(&app, &client.email, UNDO);
        app.anonymous().post(&link_in(&app, new, CONFIRM), json!({})).await.ok();
        app.advance(TimeDelta::seconds(30));
        if client.user() == owner.user() {
            turn_on_second_factor(&app, client).await;
        }

        app.anonymous().post(&undo, json!({})).await.ok();
        app.run_jobs().await;

        let reset = link_in(&app, &client.email, "new password");
        let chosen = json!({ "password": "an entirely different phrase" });
        app.anonymous().post(&reset, chosen).await.ok();
    }
    let session = sign_in(&app, &owner.email, "an entirely different phrase").await.ok();
    let back = owner.with_key(session["access_token"].as_str().unwrap());
    let state = back.get("/v1/me/second-factor").await.ok();
    assert_eq!((&state["on"], &state["recovery_codes_left"]), (&json!(false), &json!(0)));
    // What was on before may be the owner's.
    let half = sign_in(&app, &careful.email, "an entirely different phrase").await;
    let proof = json!({ "challenge": half.body["challenge"], "code": app.totp_code(&theirs) });
    app.anonymous().post("/v1/sessions/second-factor", proof).await.ok();
}

#[tokio::test]
async fn asking_for_a_taken_address_looks_the_same_and_changes_nothing() {
    let app = TestApp::start().await;
    let (owner, other) = (app.owner().await, app.owner().await);

    ask(&app, &owner, &other.email).await;

    assert_eq!(mails(&app, "already_registered").await, 1);
    assert_eq!(owner.get("/v1/me").await.ok()["user"]["email"], owner.email);
}

#[tokio::test]
async fn an_address_taken_meanwhile_stays_with_its_owner() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    ask(&app, &owner, NEW).await;
    crate::verified(&app, NEW).await;

    let late = app.anonymous().post(&link_in(&app, NEW, CONFIRM), json!({})).await;

    assert_eq!(late.problem(), (400, "invalid_link".into()));
    assert_eq!(owner.get("/v1/me").await.ok()["user"]["email"], owner.email);
}

#[tokio::test]
async fn a_pending_change_dies_with_the_password_it_was_asked_under() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    ask(&app, &owner, NEW).await;
    let pending = link_in(&app, NEW, CONFIRM);

    let change =
        json!({ "current_password": PASSWORD, "password": "an entirely different phrase" });
    owner.post("/v1/me/password", change).await.ok();

    let late = app.anonymous().post(&pending, json!({})).await;
    assert_eq!(late.problem(), (400, "invalid_link".into()));
}

#[tokio::test]
async fn a_reset_link_dies_when_the_address_changes() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let reset = ask_for_reset(&app, &owner.email).await;
    ask(&app, &owner, NEW).await;
    app.anonymous().post(&link_in(&app, NEW, CONFIRM), json!({})).await.ok();

    let chosen = json!({ "password": "an entirely different phrase" });
    let late = app.anonymous().post(&reset, chosen).await;
    assert_eq!(late.problem(), (400, "invalid_link".into()));
}
