//! Addresses that get no mail, or none of a kind.

use email::{PasswordReset, Welcome};
use serde_json::json;
use simulators::{
    mailbox::Fault,
    resend::{Bounce, Tells},
};
use testing::TestApp;

use crate::{ADA, digest, queue, queue_to, row, status, with_resend};

async fn suppress(app: &TestApp, reason: &str) {
    let insert = "insert into email_suppressions (id, address, reason, created_at)
                  values (gen_random_uuid(), $1, $2, now())";
    sqlx::query(insert).bind(ADA).bind(reason).execute(app.db.pool()).await.unwrap();
}

#[tokio::test]
async fn an_address_that_bounced_gets_nothing_and_one_that_complained_what_lets_it_in() {
    let link = "https://app.example.com/v1/password-resets/x".parse().unwrap();
    let security = PasswordReset { name: "Ada", link: &link, minutes: 10 };
    for (reason, reset) in
        [("hard_bounce", "suppressed"), ("manual", "suppressed"), ("complaint", "sent")]
    {
        let app = TestApp::start().await;
        suppress(&app, reason).await;
        let welcome = queue_to(&app, ADA, None, &Welcome { name: "Ada" }).await;
        let security = queue_to(&app, ADA, None, &security).await;
        let news = queue_to(&app, ADA, None, &digest()).await;
        let other = queue_to(&app, "bob@example.com", None, &digest()).await;
        app.run_jobs().await;

        assert_eq!(status(&app, welcome).await, "suppressed", "{reason}");
        assert_eq!(status(&app, news).await, "suppressed", "{reason}");
        assert_eq!(status(&app, security).await, reset, "{reason}");
        assert_eq!(status(&app, other).await, "sent", "{reason}");
        let row = row(&app, welcome).await;
        assert!(row.error.is_some() && !row.has_body && row.attempts == 0, "{row:?}");
    }
}

#[tokio::test]
async fn a_bounce_that_was_told_and_a_refused_address_are_suppressed() {
    let (app, resend) = with_resend(|_| {}).await;
    queue(&app).await;
    app.run_jobs().await;
    let bounced = Tells::Bounced(Bounce::Permanent);
    let message = resend.tell(&resend.mails()[0], bounced, app.clock.now().timestamp());
    let request = app.anonymous().request(reqwest::Method::POST, "/v1/webhooks/resend");
    let request = message.headers.iter().fold(request, |it, (name, value)| it.header(*name, value));
    assert!(request.body(message.body).send().await.unwrap().status().is_success());
    let next = queue(&app).await;
    app.run_jobs().await;
    assert_eq!((status(&app, next).await.as_str(), resend.mails().len()), ("suppressed", 1));

    // A mail server that says "no such mailbox" (5.1.1) says the same.
    let app = TestApp::start().await;
    app.simulators.mailbox.next(Fault::Refuse);
    let refused = queue(&app).await;
    app.run_jobs().await;
    let next = queue(&app).await;
    app.run_jobs().await;
    assert_eq!(status(&app, refused).await, "dead");
    assert_eq!(status(&app, next).await, "suppressed");
}

#[tokio::test]
async fn an_operator_keeps_the_list_and_every_change_is_written_down() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let list = "/admin/v1/email-suppressions";
    let input = json!({ "address": "ADA@example.com", "note": "asked by phone" });
    let made = operator.post(list, input.clone()).await.ok();
    assert_eq!((&made["address"], &made["reason"]), (&json!(ADA), &json!("manual")));
    // Again it is the same one.
    assert_eq!(operator.post(list, input).await.ok()["id"], made["id"]);
    let blank = json!({ "address": ADA, "note": " " });
    assert_eq!(operator.post(list, blank).await.problem().0, 422);
    let found = operator.get(&format!("{list}?address={ADA}")).await.ok();
    assert_eq!(found["items"][0]["note"], "asked by phone");
    assert!(operator.get(&format!("{list}?address=b@c.example")).await.ok()["items"] == json!([]));

    let held = queue(&app).await;
    app.run_jobs().await;
    assert_eq!(status(&app, held).await, "suppressed");
    let one = format!("{list}/{}", made["id"].as_str().unwrap());
    assert_eq!(operator.delete(&one).await.status, 204);
    assert_eq!(operator.delete(&one).await.problem().0, 404);
    let free = queue(&app).await;
    app.run_jobs().await;
    assert_eq!(status(&app, free).await, "sent");
    let log = operator.get("/admin/v1/audit-log").await.ok().to_string();
    for action in ["email_suppression.created", "email_suppression.removed"] {
        assert!(log.contains(action), "{action}");
    }
}
