use chrono::TimeDelta;
use secrecy::SecretString;
use serde_json::{Value, json};
use testing::TestApp;
use webhooks::{Secret, signature};

use crate::{count, deliver, execute, happen, lasting_owner, listen, path};

fn secret(shown: &Value) -> Secret {
    Secret::read(shown["secret"].as_str().unwrap()).unwrap()
}

/// What the last event was signed with: of `secrets`, as many as signed it.
fn signed_with(app: &TestApp, secrets: &[Secret]) -> usize {
    let received = app.simulators.sink.received("/a");
    let last = received.last().unwrap();
    let timestamp = last.headers["webhook-timestamp"].parse().unwrap();
    let signatures: Vec<_> = last.headers["webhook-signature"].split(' ').collect();
    let signed = |it: &&Secret| {
        let one = signature(&[(*it).clone()], &last.headers["webhook-id"], timestamp, &last.body);
        signatures.contains(&one.as_str())
    };
    let count = secrets.iter().filter(signed).count();
    assert_eq!(count, signatures.len(), "somebody else signed too");
    count
}

#[tokio::test]
async fn both_secrets_sign_while_they_overlap_and_only_the_new_one_afterwards() {
    let app = TestApp::start().await;
    let owner = lasting_owner(&app).await;
    let made = listen(&app, &owner, "/a").await;
    let rotations = format!("{}/rotations", path(&made));
    let rotated = owner.post(&rotations, json!({ "overlap_seconds": 3600 })).await.ok();
    let (old, new) = (secret(&made), secret(&rotated));
    assert_ne!(made["secret"], rotated["secret"]);

    happen(&app, &owner, 1).await;
    app.run_jobs().await;
    assert_eq!(signed_with(&app, &[new.clone(), old.clone()]), 2);

    app.advance(TimeDelta::hours(1));
    happen(&app, &owner, 1).await;
    deliver(&app).await;
    assert_eq!(signed_with(&app, &[new]), 1);

    let at_once = owner.post(&rotations, json!({ "overlap_seconds": 0 })).await.ok();
    happen(&app, &owner, 1).await;
    deliver(&app).await;
    assert_eq!(signed_with(&app, &[secret(&at_once)]), 1);
    for wrong in [-1, 604_801] {
        let refused = owner.post(&rotations, json!({ "overlap_seconds": wrong })).await;
        assert_eq!(refused.problem().0, 422);
    }
}

#[tokio::test]
async fn no_secret_is_anywhere_in_the_database_as_it_is() {
    let app = TestApp::start().await;
    let owner = lasting_owner(&app).await;
    let made = listen(&app, &owner, "/a").await;
    let rotated = owner.post(&format!("{}/rotations", path(&made)), json!({})).await.ok();
    happen(&app, &owner, 1).await;
    let whole = "select string_agg(coalesce(t::text, ''), '') from
        (select n::text from webhook_endpoints n union all select j::text from graphile_worker._private_jobs j
         union all select a::text from audit_events a union all select e::text from webhook_events e) t (t)";
    let whole: String = sqlx::query_scalar(whole).fetch_one(app.db.pool()).await.unwrap();
    for shown in [&made, &rotated] {
        let text = shown["secret"].as_str().unwrap();
        let hex = sqlx::query_scalar("select encode(decode($1, 'base64'), 'hex')").bind(&text[6..]);
        let hex: String = hex.fetch_one(app.db.pool()).await.unwrap();
        assert!(!whole.contains(&text[6..]) && !whole.contains(&hex));
    }
}

#[tokio::test]
async fn secrets_outlive_the_exchange_of_what_seals_them() {
    let app = TestApp::start().await;
    let owner = lasting_owner(&app).await;
    let made = listen(&app, &owner, "/a").await;
    owner.post(&format!("{}/rotations", path(&made)), json!({})).await.ok();
    let old = app.settings.auth.auth_secret.clone().unwrap();
    let new = SecretString::from("another secret that is only used by tests, 48 b");

    let done = webhooks::reseal(app.db.pool(), [&new, &old]).await.unwrap();
    assert_eq!((done.resealed, done.current, done.lost), (2, 0, 0));
    let again = webhooks::reseal(app.db.pool(), [&new]).await.unwrap();
    assert_eq!((again.resealed, again.current, again.lost), (0, 2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_rotated_while_all_are_sealed_anew_is_not_missed() {
    let app = TestApp::start().await;
    let owner = lasting_owner(&app).await;
    let made = listen(&app, &owner, "/a").await;
    owner.post(&format!("{}/rotations", path(&made)), json!({})).await.ok();
    let old = app.settings.auth.auth_secret.clone().unwrap();
    let new = SecretString::from("another secret that is only used by tests, 48 b");

    let mut rotation = app.db.begin().await.unwrap();
    let rotate = "update webhook_endpoints set secret = previous_secret, previous_secret = secret";
    sqlx::query(rotate).execute(&mut *rotation).await.unwrap();
    let sealing = async { webhooks::reseal(app.db.pool(), [&new, &old]).await.unwrap() };
    let rotated = async {
        let waits = "select count(*) from pg_stat_activity
                     where datname = current_database() and wait_event_type = 'Lock'";
        while count(&app, waits).await == 0 {
            tokio::task::yield_now().await;
        }
        rotation.commit().await.unwrap();
    };
    let (done, ()) = tokio::join!(sealing, rotated);

    assert_eq!((done.resealed, done.current, done.lost), (2, 0, 0));
    let again = webhooks::reseal(app.db.pool(), [&new]).await.unwrap();
    assert_eq!((again.resealed, again.current, again.lost), (0, 2, 0));
}

#[tokio::test]
async fn a_previous_secret_that_does_not_open_is_done_without() {
    let app = TestApp::start().await;
    let owner = lasting_owner(&app).await;
    let made = listen(&app, &owner, "/a").await;
    let rotated = owner.post(&format!("{}/rotations", path(&made)), json!({})).await.ok();
    execute(&app, "update webhook_endpoints set previous_secret = 'unreadable'").await;
    happen(&app, &owner, 1).await;
    app.run_jobs().await;
    assert_eq!(signed_with(&app, &[secret(&rotated)]), 1);
}

#[tokio::test]
async fn a_secret_that_does_not_open_takes_no_lane() {
    let app = TestApp::start().await;
    let owner = lasting_owner(&app).await;
    listen(&app, &owner, "/a").await;
    execute(&app, "update webhook_endpoints set secret = 'unreadable'").await;
    happen(&app, &owner, 1).await;
    app.run_jobs().await;
    let taken = "select count(*) from webhook_endpoints where lane_until is not null";
    assert_eq!(count(&app, taken).await, 0);
    assert_eq!(app.simulators.sink.received("/a").len(), 0);
}

#[tokio::test]
async fn a_secret_that_no_longer_signs_is_not_kept() {
    let app = TestApp::start().await;
    let owner = lasting_owner(&app).await;
    let made = listen(&app, &owner, "/a").await;
    let rotations = format!("{}/rotations", path(&made));
    owner.post(&rotations, json!({ "overlap_seconds": 3600 })).await.ok();
    let kept = "select count(*) from webhook_endpoints where previous_secret is not null";
    app.webhooks.drop_old_secrets().await.unwrap();
    assert_eq!(count(&app, kept).await, 1);
    app.advance(TimeDelta::hours(1));
    app.webhooks.drop_old_secrets().await.unwrap();
    assert_eq!(count(&app, kept).await, 0);
}
