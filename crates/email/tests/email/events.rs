//! What Resend tells about mails: signed, once, in any order.

use email::Email;
use kernel::Id;
use serde_json::{Value, json};
use simulators::resend::{Bounce, Mail, Resend, Signed, Tells};
use testing::{Reply, TestApp};

use crate::{ADA, digest, make_due, queue, queue_to, row, status, with_resend};

async fn post(app: &TestApp, message: &Signed) -> Reply {
    let request = app.anonymous().request(reqwest::Method::POST, "/v1/webhooks/resend");
    let request = message.headers.iter().fold(request, |it, (name, value)| it.header(*name, value));
    Reply::read(request.body(message.body.clone()).send().await.unwrap()).await
}

fn tell(app: &TestApp, resend: &Resend, mail: &Mail, what: Tells) -> Signed {
    resend.tell(mail, what, app.clock.now().timestamp())
}

async fn told(app: &TestApp, resend: &Resend, mail: &Mail, what: Tells) {
    let reply = post(app, &tell(app, resend, mail, what)).await;
    assert_eq!(reply.status, 204, "{reply:?}");
}

async fn sent(app: &TestApp, resend: &Resend) -> (Id<Email>, Mail) {
    let id = queue(app).await;
    app.run_jobs().await;
    (id, resend.mails().pop().unwrap())
}

const BOUNCED: Tells = Tells::Bounced(Bounce::Permanent);

#[tokio::test]
async fn whatever_the_order_a_mail_ends_as_the_worst_that_was_told() {
    let orders: [(&[Tells], &str); 8] = [
        (&[Tells::Sent, Tells::Delivered], "delivered"),
        (&[Tells::Delivered, Tells::Sent], "delivered"),
        (&[BOUNCED, Tells::Delivered, Tells::Sent], "bounced"),
        (&[Tells::Delivered, BOUNCED], "bounced"),
        (&[Tells::Complained, Tells::Delivered, BOUNCED], "complained"),
        (&[Tells::DeliveryDelayed, Tells::Opened], "sent"),
        (&[Tells::Delivered, Tells::Failed], "delivered"),
        (&[Tells::Failed, Tells::Sent], "dead"),
    ];
    let (app, resend) = with_resend(|_| {}).await;
    for (order, end) in orders {
        sqlx::query("delete from email_suppressions").execute(app.db.pool()).await.unwrap();
        let (id, mail) = sent(&app, &resend).await;
        for what in order {
            told(&app, &resend, &mail, *what).await;
        }
        assert_eq!(status(&app, id).await, end, "{order:?}");
    }
}

#[tokio::test]
async fn a_message_that_comes_twice_counts_once() {
    let (app, resend) = with_resend(|_| {}).await;
    let (id, mail) = sent(&app, &resend).await;
    let message = tell(&app, &resend, &mail, BOUNCED);
    let (one, two) = tokio::join!(post(&app, &message), post(&app, &message));
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (204, 204));

    let operator = app.operator().await;
    let history = operator.get(&format!("/admin/v1/emails/{id}")).await.ok();
    assert_eq!(history["status"], "bounced");
    assert_eq!(history["events"].as_array().unwrap().len(), 1, "{history}");
    assert!(history["events"][0]["detail"].as_str().unwrap().starts_with("Permanent"));
    let list = operator.get("/admin/v1/email-suppressions").await.ok();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&list["items"][0]["reason"], &list["items"][0]["address"]),
        (&json!("hard_bounce"), &json!(ADA))
    );
}

#[tokio::test]
async fn a_message_that_overtakes_the_answer_finds_its_mail_and_spares_the_retry() {
    let (app, resend) = with_resend(|_| {}).await;
    resend.next(simulators::resend::Fault::DropAnswer);
    let id = queue(&app).await;
    app.run_jobs().await;
    assert_eq!(status(&app, id).await, "queued");

    told(&app, &resend, &resend.mails()[0], Tells::Delivered).await;
    let now = row(&app, id).await;
    assert_eq!((now.status.as_str(), now.has_body), ("delivered", false));
    assert_eq!(now.provider_id.as_ref(), Some(&resend.mails()[0].id));
    make_due(&app).await;
    app.run_jobs().await;
    assert_eq!((resend.requests(), status(&app, id).await.as_str()), (1, "delivered"));
}

#[tokio::test]
async fn only_what_resend_signed_within_five_minutes_is_believed() {
    let (app, resend) = with_resend(|_| {}).await;
    let (id, mail) = sent(&app, &resend).await;
    let now = app.clock.now().timestamp();
    let valid = tell(&app, &resend, &mail, BOUNCED);
    let with = |name: &str, value: &str| {
        let mut message = valid.clone();
        message.headers.iter_mut().find(|it| it.0 == name).unwrap().1 = value.to_owned();
        message
    };
    let forged = [
        Signed { body: valid.body.replace("bounced", "Bounced"), ..valid.clone() },
        Signed { headers: vec![], ..valid.clone() },
        with("svix-id", "msg_other"),
        with("svix-signature", "v1,AAAA"),
        with("svix-timestamp", &(now + 1).to_string()),
        with("svix-timestamp", "soon"),
        resend.tell(&mail, BOUNCED, now - 301),
        resend.tell(&mail, BOUNCED, now + 301),
    ];
    for message in forged {
        let reply = post(&app, &message).await;
        assert_eq!(reply.problem(), (400, "invalid_signature".to_owned()), "{message:?}");
    }
    for body in ["", "{}", "[]", "null", r#"{"type":1}"#, "\u{0}"] {
        let message = Signed::sign("msg_odd", now, body.to_owned());
        assert_eq!(post(&app, &message).await.problem().1, "not_an_event", "{body:?}");
    }
    assert_eq!(status(&app, id).await, "sent");
    assert_eq!(post(&app, &valid).await.status, 204);
}

#[tokio::test]
async fn what_is_about_no_mail_of_ours_changes_nothing() {
    let (app, resend) = with_resend(|_| {}).await;
    let (id, mail) = sent(&app, &resend).await;
    let mut foreign = mail.clone();
    foreign.id = "somebody-elses".to_owned();
    foreign.request.tags.clear();
    told(&app, &resend, &foreign, Tells::Complained).await;
    // What an event says of its recipients is not believed: the mail's own is meant.
    let mut other = mail.clone();
    other.request.to = vec!["victim@example.com".to_owned()];
    told(&app, &resend, &other, BOUNCED).await;

    assert_eq!(status(&app, id).await, "bounced");
    let addresses: Vec<String> = sqlx::query_scalar("select address from email_suppressions")
        .fetch_all(app.db.pool())
        .await
        .unwrap();
    assert_eq!(addresses, [ADA]);
}

#[tokio::test]
async fn a_mailbox_that_is_full_for_a_while_is_not_suppressed() {
    let (app, resend) = with_resend(|_| {}).await;
    let (id, mail) = sent(&app, &resend).await;
    told(&app, &resend, &mail, Tells::Bounced(Bounce::Transient)).await;
    assert_eq!(status(&app, id).await, "bounced");
    let (next, _) = sent(&app, &resend).await;
    assert_eq!(status(&app, next).await, "sent");
}

#[tokio::test]
async fn without_its_secret_the_webhook_asks_to_be_called_again() {
    let (app, resend) = with_resend(|settings| settings.email.resend_webhook_secret = None).await;
    let (_, mail) = sent(&app, &resend).await;
    let reply = post(&app, &tell(&app, &resend, &mail, Tells::Delivered)).await;
    assert_eq!(reply.problem(), (503, "not_configured".to_owned()));
}

#[tokio::test]
async fn rates_say_how_much_arrives_and_the_list_is_filtered() {
    let (app, resend) = with_resend(|_| {}).await;
    for what in [Some(Tells::Delivered), Some(Tells::Delivered), Some(BOUNCED), None] {
        let (_, mail) = sent(&app, &resend).await;
        if let Some(what) = what {
            told(&app, &resend, &mail, what).await;
        }
        sqlx::query("delete from email_suppressions").execute(app.db.pool()).await.unwrap();
    }
    queue_to(&app, "eve@example.com", None, &digest()).await;
    let operator = app.operator().await;
    let rates = operator.get("/admin/v1/email-rates?days=1").await.ok();
    let wanted = json!({
        "total": 5, "queued": 1, "sent": 1, "delivered": 2, "bounced": 1, "complained": 0,
        "suppressed": 0, "dead": 0,
        "delivered_percent": 50.0, "bounced_percent": 25.0, "complained_percent": 0.0,
    });
    assert_eq!(rates, wanted);

    let count = async |filter: &str| {
        let list: Value = operator.get(&format!("/admin/v1/emails?{filter}")).await.ok();
        list["items"].as_array().unwrap().len()
    };
    assert_eq!(count("status=delivered").await, 2);
    assert_eq!(count("status=queued").await, 1);
    assert_eq!(count("template=welcome").await, 4);
    assert_eq!(count("recipient=EVE@example.com").await, 1);
    assert_eq!(count("limit=2").await, 2);
    assert_eq!(operator.get("/admin/v1/emails?status=lost").await.problem().0, 422);
    assert_eq!(operator.get("/admin/v1/email-rates?days=0").await.problem().0, 422);
}
