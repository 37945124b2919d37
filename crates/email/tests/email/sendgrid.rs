//! What SendGrid tells about mails that it took over SMTP: signed, once, in any order.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use email::Welcome;
use kernel::Id;
use serde_json::{Value, json};
use testing::{Reply, TestApp, eventually};

use crate::{ADA, queue, queue_to, received, row, status, with_resend};

struct SendGrid(EcdsaKeyPair);

impl SendGrid {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }

    fn key(&self) -> String {
        let key: PublicKeyX509Der = self.0.public_key().as_der().unwrap();
        BASE64_STANDARD.encode(key.as_ref())
    }

    async fn post(&self, app: &TestApp, body: &str, timestamp: i64, signed: &str) -> Reply {
        let signature =
            self.0.sign(&SystemRandom::new(), format!("{timestamp}{signed}").as_bytes());
        let signature = BASE64_STANDARD.encode(signature.unwrap());
        let request = app.anonymous().request(reqwest::Method::POST, "/v1/webhooks/sendgrid");
        let request = request
            .header("x-twilio-email-event-webhook-timestamp", timestamp)
            .header("x-twilio-email-event-webhook-signature", signature)
            .body(body.to_owned());
        Reply::read(request.send().await.unwrap()).await
    }

    async fn tell(&self, app: &TestApp, events: &Value) {
        let (body, now) = (events.to_string(), app.clock.now().timestamp());
        let reply = self.post(app, &body, now, &body).await;
        assert_eq!(reply.status, 204, "{reply:?}");
    }
}

async fn with_sendgrid() -> (TestApp, SendGrid) {
    let sendgrid = SendGrid::new();
    let key = sendgrid.key();
    let app = TestApp::start_with(|it| it.email.sendgrid_webhook_key = Some(key)).await;
    (app, sendgrid)
}

fn event(what: &str, id: &str, about: Value) -> Value {
    let mut event = json!({
        "email": "victim@example.com", "timestamp": 1_600_000_000, "event": what, "sg_event_id": id,
        "sg_message_id": "14c5d75ce93.dfd.64b469",
    });
    event.as_object_mut().unwrap().extend(about.as_object().unwrap().clone());
    event
}

#[tokio::test]
async fn what_sendgrid_tells_counts_once_in_any_order_and_an_address_that_bounced_gets_nothing() {
    let (app, sendgrid) = with_sendgrid().await;
    let id = queue(&app).await;
    app.run_jobs().await;
    let message_id = format!("<{id}@localhost.localdomain>");
    assert_eq!(received(&app)[0].header("Message-ID").unwrap(), message_id);
    let named = received(&app)[0].header("X-SMTPAPI").unwrap().to_owned();
    let named: Value = serde_json::from_str(&named).unwrap();

    let about = json!({ "smtp-id": message_id });
    let bounced = json!({ "mail_id": named["unique_args"]["mail_id"], "type": "bounce", "reason": "550 no such user" });
    let told = json!([
        event("open", "e0", about.clone()),
        event("bounce", "e1", bounced),
        event("delivered", "e2", about.clone()),
        event("processed", "e3", about.clone()),
        event("delivered", "e4", json!({ "smtp-id": "<somebody@else.example>" })),
        event("delivered", "e5", json!({ "mail_id": "not ours", "smtp-id": "<x@y>" })),
        event("", "", about),
        json!({ "what": "is this?" }),
        json!(1),
        json!({ "event": "bounce", "sg_event_id": "e6", "type": null, "reason": {} }),
    ]);
    for _ in 0..2 {
        sendgrid.tell(&app, &told).await;
    }

    let bounced = row(&app, id).await;
    assert_eq!((bounced.status.as_str(), bounced.has_body), ("bounced", false));
    assert_eq!(bounced.error.as_deref(), Some("550 no such user"));
    let events: i64 = sqlx::query_scalar("select count(*) from email_events")
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    assert_eq!(events, 3);
    // What an event says of its recipient is not believed: the mail's own is meant.
    let suppressed: Vec<(String, String)> =
        sqlx::query_as("select address, reason from email_suppressions")
            .fetch_all(app.db.pool())
            .await
            .unwrap();
    assert_eq!(suppressed, [(ADA.to_owned(), "hard_bounce".to_owned())]);
    let next = queue(&app).await;
    app.run_jobs().await;
    assert_eq!((status(&app, next).await.as_str(), received(&app).len()), ("suppressed", 1));
}

#[tokio::test]
async fn what_sendgrid_calls_blocked_is_no_reason_to_send_nothing_more_and_a_complaint_is() {
    let (app, sendgrid) = with_sendgrid().await;
    for (what, kind, end, next) in
        [("bounce", "blocked", "bounced", "sent"), ("spamreport", "", "complained", "suppressed")]
    {
        let id = queue(&app).await;
        app.run_jobs().await;
        let about = json!({ "mail_id": id, "type": kind });
        sendgrid.tell(&app, &json!([event(what, &Id::<()>::new().to_string(), about)])).await;
        assert_eq!(status(&app, id).await, end);
        let after = queue(&app).await;
        app.run_jobs().await;
        assert_eq!(status(&app, after).await, next, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_that_name_the_same_addresses_the_other_way_round_are_both_applied() {
    let (app, sendgrid) = with_sendgrid().await;
    let mut bounced = Vec::new();
    for address in [ADA, "bob@example.com", "bob@example.com", ADA] {
        let id = queue_to(&app, address, None, &Welcome { name: "Ada" }).await;
        let about = json!({ "mail_id": id, "type": "bounce" });
        bounced.push(event("bounce", &Id::<()>::new().to_string(), about));
    }
    app.run_jobs().await;
    // Both are on their way before either can go on.
    let mut first = app.db.begin().await.unwrap();
    sqlx::query(
        "insert into email_suppressions (id, address, reason, created_at)
         values (gen_random_uuid(), $1, 'hard_bounce', now())",
    )
    .bind(ADA)
    .execute(&mut *first)
    .await
    .unwrap();
    let let_go = async {
        let waiting = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'";
        eventually("both wait", async || {
            sqlx::query_scalar::<_, i64>(waiting).fetch_one(app.db.pool()).await.unwrap() == 2
        })
        .await;
        first.rollback().await.unwrap();
    };
    let (one, other) = (json!([bounced[0], bounced[1]]), json!([bounced[2], bounced[3]]));
    tokio::join!(sendgrid.tell(&app, &one), sendgrid.tell(&app, &other), let_go);

    let events = "select count(*) from email_events";
    let events: i64 = sqlx::query_scalar(events).fetch_one(app.db.pool()).await.unwrap();
    assert_eq!(events, 4);
}

#[tokio::test]
async fn only_what_sendgrid_signed_within_five_minutes_is_believed() {
    let (app, sendgrid) = with_sendgrid().await;
    let id = queue(&app).await;
    app.run_jobs().await;
    let body = json!([event("bounce", "e1", json!({ "mail_id": id }))]).to_string();
    let now = app.clock.now().timestamp();
    let stranger = SendGrid::new();
    for reply in [
        stranger.post(&app, &body, now, &body).await,
        sendgrid.post(&app, &body, now, "[]").await,
        sendgrid.post(&app, &body, now - 301, &body).await,
        sendgrid.post(&app, &body, now + 301, &body).await,
    ] {
        assert_eq!(reply.problem(), (400, "invalid_signature".to_owned()));
    }
    for body in ["", "{}", "null", "7"] {
        let reply = sendgrid.post(&app, body, now, body).await;
        assert_eq!(reply.problem(), (400, "no_events".to_owned()), "{body:?}");
    }
    assert_eq!(status(&app, id).await, "sent");
    assert_eq!(sendgrid.post(&app, &body, now, &body).await.status, 204);
    assert_eq!(status(&app, id).await, "bounced");
}

#[tokio::test]
async fn without_its_key_sendgrid_is_asked_to_come_again_and_other_mails_name_nothing() {
    let app = TestApp::start().await;
    queue(&app).await;
    app.run_jobs().await;
    assert_eq!(received(&app)[0].header("X-SMTPAPI"), None);
    let reply = SendGrid::new().post(&app, "[]", app.clock.now().timestamp(), "[]").await;
    assert_eq!(reply.problem(), (503, "not_configured".to_owned()));

    let (app, _) = with_resend(|_| {}).await;
    let mut settings = app.settings.email.clone();
    settings.sendgrid_webhook_key = Some("nonsense".into());
    let problems = settings.problems(kernel::Environment::Development).join("\n");
    assert!(problems.contains("goes with SMTP_URL") && problems.contains("verification key"));
}
