//! People are told when their account is signed in to from a device that it did not know.

use serde_json::json;
use testing::{Client, PASSWORD, TestApp};

async fn sign_in(app: &TestApp, who: &Client, device: &str) {
    let client = app.anonymous().header("user-agent", device);
    client.post("/v1/sessions", json!({ "email": who.email, "password": PASSWORD })).await.ok();
    app.run_jobs().await;
}

fn told(app: &TestApp, who: &Client) -> Vec<String> {
    let mails = app.simulators.mailbox.messages_to(&who.email);
    mails.iter().map(|mail| mail.text.clone().unwrap()).collect()
}

#[tokio::test]
async fn a_sign_in_from_an_unknown_device_is_told_and_one_from_a_known_one_is_not() {
    let app = TestApp::start().await;
    // The first ever.
    let ada = app.owner().await;
    app.run_jobs().await;
    assert!(told(&app, &ada).is_empty());

    sign_in(&app, &ada, "Firefox on Linux").await;
    assert_eq!(told(&app, &ada).len(), 1);
    let text = &told(&app, &ada)[0];
    assert!(text.contains("Firefox on Linux") && text.contains("127.0.0.1"), "{text}");
    sign_in(&app, &ada, "Firefox on Linux").await;
    assert_eq!(told(&app, &ada).len(), 1);

    // The same name from elsewhere is another device.
    sqlx::query("update sessions set ip = '203.0.113.7' where user_id = $1")
        .bind(ada.user())
        .execute(app.db.pool())
        .await
        .unwrap();
    sign_in(&app, &ada, "Firefox on Linux").await;
    assert_eq!(told(&app, &ada).len(), 2);
}

#[tokio::test]
async fn a_sign_in_to_an_account_of_which_no_session_is_left_is_told() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    app.advance(chrono::TimeDelta::days(400));
    let purge = "select graphile_worker.add_job(
                     'auth.purge_sessions', json_build_object('job', json_build_object()))";
    sqlx::query(purge).execute(app.db.pool()).await.unwrap();
    app.run_jobs().await;
    let left: i64 = sqlx::query_scalar("select count(*) from sessions where user_id = $1")
        .bind(ada.user())
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    assert_eq!(left, 0);
    let before = told(&app, &ada).len();
    sign_in(&app, &ada, "Firefox on Linux").await;
    assert_eq!(told(&app, &ada).len(), before + 1);
}

#[tokio::test]
async fn what_a_device_calls_itself_breaks_neither_the_mail_nor_makes_a_link() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    sign_in(&app, &ada, "<script>https://evil.example</script>").await;
    let mail = app.simulators.mailbox.messages_to(&ada.email).pop().unwrap();
    let all = format!("{}{}", mail.text.as_ref().unwrap(), mail.html.as_ref().unwrap());
    assert!(!all.contains("evil.example") && !all.contains("<script"), "{all}");
}
