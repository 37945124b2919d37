//! Asking outsiders, from the mail to the decision.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use testing::{Client, Reply, TestApp};
use web::Role;

const CLIENT: &str = "client@example.com";

fn question() -> Value {
    json!({ "email": CLIENT, "name": "Grace", "title": "Poster, second draft", "description": "A <b>bold</b> one." })
}

/// Asks, and answers the approval and where the mail's link leads to.
async fn ask(app: &TestApp, asker: &Client, question: Value) -> (Value, String) {
    let approval = asker.post("/v1/approvals", question).await.ok();
    app.run_jobs().await;
    let mails = app.simulators.mailbox.messages_to(approval["email"].as_str().unwrap());
    let link = mails.last().unwrap().links.iter().find(|it| it.contains("/v1/approval-links/"));
    let path = link.unwrap().split_once("/v1/").unwrap().1;
    (approval.clone(), format!("/v1/{path}"))
}

/// As the page sends it.
async fn press(app: &TestApp, link: &str, form: &'static str) -> Reply {
    let request = app.anonymous().request(Method::POST, link);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = request.header("accept", "text/html").body(form);
    Reply::read(request.send().await.unwrap()).await
}

async fn standing(asker: &Client, approval: &Value) -> Value {
    asker.get(&format!("/v1/approvals/{}", approval["id"].as_str().unwrap())).await.ok()
}

/// Rows 278 and 285; security case 46.
#[tokio::test]
async fn an_outsider_approves_on_the_page_once_and_whoever_asked_is_told() {
    let app = TestApp::start().await;
    let asker = app.owner().await;
    let (approval, link) = ask(&app, &asker, question()).await;
    assert_eq!(approval["status"], "pending");
    let mail = app.simulators.mailbox.messages_to(CLIENT).pop().unwrap();
    assert_eq!(mail.subject, "Your approval is asked for: Poster, second draft");
    assert!(mail.text.as_ref().unwrap().contains(&asker.email));

    for _ in 0..2 {
        let page = app.anonymous().get(&link).await.ok_text();
        assert!(page.contains("Poster, second draft") && page.contains("<form method=\"post\">"));
        assert!(page.contains("A &#60;b&#62;bold"), "{page}");
    }
    assert_eq!(standing(&asker, &approval).await["status"], "pending");

    let pressed = press(&app, &link, "decision=approve&comment=Print+it%21").await;
    assert!(
        pressed.status.is_success() && pressed.text.contains("<h1>Approved</h1>"),
        "{pressed:?}"
    );
    let now = standing(&asker, &approval).await;
    assert_eq!((&now["status"], &now["comment"]), (&json!("approved"), &json!("Print it!")));
    app.run_jobs().await;
    let told = app.simulators.mailbox.messages_to(&asker.email).pop().unwrap();
    assert_eq!(told.subject, "Poster, second draft: approved");
    assert!(told.text.as_ref().unwrap().contains("They say: Print it!"));
    let log = asker.get("/v1/audit-log").await.ok().to_string();
    assert!(log.contains("approval.requested") && log.contains("approval.approved"), "{log}");

    let again = press(&app, &link, "decision=reject").await;
    assert_eq!(again.status, 409, "{again:?}");
    assert_eq!(app.anonymous().get(&link).await.status, 409);
    assert_eq!(standing(&asker, &approval).await["status"], "approved");
}

#[tokio::test]
async fn of_many_answers_at_once_one_counts() {
    let app = TestApp::start().await;
    let asker = app.owner().await;
    let (approval, link) = ask(&app, &asker, question()).await;
    let answer = |decision: &str| {
        let (client, link, body) = (app.anonymous(), link.clone(), json!({ "decision": decision }));
        async move { client.post(&link, body).await }
    };
    let (a, b, c, d) =
        tokio::join!(answer("approve"), answer("reject"), answer("approve"), answer("reject"));
    let replies = [a, b, c, d];
    let won: Vec<_> = replies.iter().filter(|it| it.status.is_success()).collect();
    assert_eq!(won.len(), 1, "{replies:?}");
    assert_eq!(standing(&asker, &approval).await["status"], won[0].body["status"]);
    app.run_jobs().await;
    assert_eq!(app.simulators.mailbox.messages_to(&asker.email).len(), 1);
}

#[tokio::test]
async fn a_link_that_was_revoked_has_expired_or_was_guessed_decides_nothing() {
    let app = TestApp::start().await;
    let asker = app.owner().await;
    let (revoked, of_revoked) = ask(&app, &asker, question()).await;
    let path = format!("/v1/approvals/{}", revoked["id"].as_str().unwrap());
    assert_eq!(asker.delete(&path).await.status, 204);
    assert_eq!(asker.delete(&path).await.problem(), (409, "approval_not_open".to_owned()));

    let mut short = question();
    short["days"] = json!(1);
    let (expired, of_expired) = ask(&app, &asker, short).await;
    app.advance(TimeDelta::days(1));
    for link in [of_revoked.as_str(), of_expired.as_str(), "/v1/approval-links/guess"] {
        let body = json!({ "decision": "approve" });
        let reply = app.anonymous().post(link, body).await;
        assert_eq!(reply.problem(), (400, "invalid_link".to_owned()), "{link}");
        let page = app.anonymous().get(link).await;
        assert_eq!((page.status.as_u16(), page.text.contains("<form")), (400, false), "{link}");
    }
    for (approval, status) in [(revoked, "revoked"), (expired, "pending")] {
        let now: String = sqlx::query_scalar("select status from approvals where id::text = $1")
            .bind(approval["id"].as_str())
            .fetch_one(app.db.pool())
            .await
            .unwrap();
        assert_eq!(now, status);
    }
    let written: i64 =
        sqlx::query_scalar("select count(*) from audit_events where action = 'approval.revoked'")
            .fetch_one(app.db.pool())
            .await
            .unwrap();
    assert_eq!(written, 1);
}

#[tokio::test]
async fn only_those_who_work_in_the_org_ask_and_nobody_else_sees() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    let viewer = app.member(&ours, Role::Viewer).await;
    assert_eq!(viewer.post("/v1/approvals", question()).await.problem().0, 403);
    let (approval, _) = ask(&app, &ours, question()).await;
    let path = format!("/v1/approvals/{}", approval["id"].as_str().unwrap());
    assert_eq!(theirs.get(&path).await.problem().0, 404);
    assert_eq!(theirs.delete(&path).await.problem().0, 404);
    assert_eq!(theirs.get("/v1/approvals").await.ok()["items"], json!([]));
    assert_eq!(viewer.get("/v1/approvals").await.ok()["items"][0]["id"], approval["id"]);
    // The link is in the mail and nowhere else.
    assert!(!ours.get(&path).await.ok().to_string().contains("link"));
}

/// Security case 115.
#[tokio::test]
async fn what_the_asker_typed_makes_no_link_and_breaks_no_header_in_the_mail() {
    let app = TestApp::start().await;
    let asker = app.owner().await;
    let mut hostile = question();
    hostile["title"] =
        json!("Free <script>x</script> https://evil.example\r\nBcc: eve@evil.example");
    hostile["name"] = json!("https://evil.example <img>");
    hostile["description"] = json!("https://evil.example");
    ask(&app, &asker, hostile).await;
    let mail = app.simulators.mailbox.messages_to(CLIENT).pop().unwrap();
    assert_eq!(mail.to, [CLIENT]);
    assert_eq!(mail.header("Bcc"), None);
    let text =
        format!("{} {} {}", mail.subject, mail.text.as_ref().unwrap(), mail.html.as_ref().unwrap());
    assert!(!text.contains("evil.example") && !text.contains("<script"), "{text}");

    for (field, value) in [
        ("title", json!(" ")),
        ("title", json!("x".repeat(121))),
        ("days", json!(0)),
        ("days", json!(91)),
        ("email", json!("nobody")),
        ("description", json!("x".repeat(5001))),
    ] {
        let mut wrong = question();
        wrong[field] = value;
        assert_eq!(asker.post("/v1/approvals", wrong).await.problem().0, 422, "{field}");
    }
}
