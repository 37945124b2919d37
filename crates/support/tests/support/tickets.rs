use chrono::TimeDelta;
use serde_json::{Value, json};
use testing::TestApp;
use web::Role;

use crate::{answer, count, open, run};

const SECRET: &str = "whsec_c2xpcHdheS1zdXBwb3J0LXRlc3Qtc2VjcmV0LTEyMzQ=";

/// Row 36.
#[tokio::test]
async fn a_ticket_says_which_plan_and_request_it_is_about_and_what_failed_before() {
    let app = TestApp::start().await;
    let (ada, other, operator) = (app.owner().await, app.owner().await, app.operator().await);
    let error = json!({ "message": "secret words", "request_id": "r-17", "release": "web@2" });
    ada.post("/v1/client-errors", error.clone()).await;
    app.anonymous().post("/v1/client-errors", error.clone()).await;
    other.post("/v1/client-errors", error).await;
    sqlx::query(
        "insert into generations (id, org_id, user_id, operation, request, status, problem, created_at, finished_at, expires_at)
         values (gen_random_uuid(), $1, $2, 'chat', '{\"prompt\": \"secret words\"}', 'failed',
                 '{\"code\": \"provider_failed\", \"detail\": \"secret words\"}', $3, $3, $3 + interval '1 day')",
    )
    .bind(ada.org())
    .bind(ada.user())
    .bind(app.clock.now())
    .execute(app.db.pool())
    .await
    .unwrap();
    app.advance(TimeDelta::minutes(1));
    let ticket = json!({ "subject": "Slow", "text": "Very", "request_id": "r-17" });
    let made = ada.post("/v1/tickets", ticket).await.ok();

    let id = made["id"].as_str().unwrap();
    let seen = operator.get(&format!("/admin/v1/tickets/{id}")).await.ok();
    assert_eq!((&seen["plan"], &seen["request_id"]), (&json!("free"), &json!("r-17")));
    let errors = seen["errors"].as_array().unwrap();
    let mut codes: Vec<_> = errors.iter().map(|it| it["code"].as_str().unwrap()).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["client_error", "provider_failed"], "nobody else's: {seen}");
    assert!(errors.iter().any(|it| it["request_id"] == "r-17"), "{seen}");
    assert!(!seen["errors"].to_string().contains("secret words"), "{seen}");
    assert_eq!(seen, ada.get(&format!("/v1/tickets/{id}")).await.ok(), "customers see the same");

    let key = other.post("/v1/api-keys", json!({ "name": "later" })).await.ok();
    app.advance(TimeDelta::days(2));
    let later = open(&other.with_key(key["secret"].as_str().unwrap()), "Later").await;
    assert_eq!(later["errors"], json!([]), "that was long ago");
}

#[tokio::test]
async fn operators_are_told_by_mail_and_webhook_until_it_is_taken() {
    let app = TestApp::start_with(|settings| {
        settings.support.support_emails = vec!["help@example.com".parse().unwrap()];
        settings.support.support_webhook_url = Some("http://127.0.0.1:9/desk".into());
        settings.support.support_webhook_secret = Some(SECRET.into());
    });
    let app = app.await;
    let ada = app.owner().await;
    let ticket = open(&ada, "Private words").await;
    app.run_jobs().await;
    let [mail] = &app.simulators.mailbox.messages_to("help@example.com")[..] else {
        panic!("one mail")
    };
    let text = mail.text.clone().unwrap();
    assert!(text.contains(ticket["id"].as_str().unwrap()), "{text}");
    assert!(!text.contains("Private words") && !text.contains("does not end"), "{text}");
    let waiting: Option<String> = sqlx::query_scalar(
        "select last_error from graphile_worker.jobs where task_identifier = 'support.deliver'",
    )
    .fetch_one(app.db.pool())
    .await
    .unwrap();
    assert!(waiting.is_some(), "nobody listens there: it is tried again");
}

#[tokio::test]
async fn the_help_desk_gets_the_whole_ticket_signed() {
    let sink = simulators::sink::Sink::start(([127, 0, 0, 1], 0).into()).await.unwrap();
    let url = format!("{}/desk", sink.url());
    let app = TestApp::start_with(|settings| {
        settings.support.support_webhook_url = Some(url.into());
        settings.support.support_webhook_secret = Some(SECRET.into());
    });
    let app = app.await;
    let ada = app.owner().await;
    let ticket = open(&ada, "Slow").await;
    app.run_jobs().await;
    let path = format!("/v1/tickets/{}/messages", ticket["id"].as_str().unwrap());
    ada.post(&path, json!({ "text": "Still" })).await.ok();
    app.run_jobs().await;

    let told = sink.received("/desk");
    let told: Vec<Value> = told.iter().map(|it| serde_json::from_str(&it.body).unwrap()).collect();
    let texts: Vec<_> = told.iter().map(|it| &it["data"]["text"]).collect();
    assert_eq!(texts, ["It does not end", "Still"]);
    assert_eq!(told[0]["data"]["ticket"]["subject"], "Slow");
    let sent = &sink.received("/desk")[0];
    let secret = webhooks::Secret::read(SECRET).unwrap();
    let at = sent.headers["webhook-timestamp"].parse().unwrap();
    let signed = webhooks::signature(&[secret], &sent.headers["webhook-id"], at, &sent.body);
    assert_eq!(sent.headers["webhook-signature"], signed);
}

#[tokio::test]
async fn an_answer_reaches_its_author_by_mail_feed_and_webhook_and_they_may_go_on() {
    let app = TestApp::start().await;
    let (ada, operator) = (app.owner().await, app.operator().await);
    let hook = json!({ "url": format!("{}/hook", app.simulators.sink.url()), "events": ["ticket.answered"] });
    ada.post("/v1/webhook-endpoints", hook).await.ok();
    let ticket = open(&ada, "Slow").await;
    let path = format!("/v1/tickets/{}", ticket["id"].as_str().unwrap());
    answer(&operator, &ticket, "Try this.\n\nThen that.").await;
    app.run_jobs().await;

    let mails = app.simulators.mailbox.messages_to(&ada.email);
    let text = mails.last().unwrap().text.clone().unwrap();
    assert!(text.contains("Try this.") && text.contains("Then that."), "{text}");
    let feed = ada.get("/v1/me/notifications").await.ok();
    assert_eq!((&feed["unread"], &feed["items"][0]["ticket_id"]), (&json!(1), &ticket["id"]));
    let told = app.simulators.sink.received("/hook");
    assert!(told.iter().any(|it| it.body.contains("ticket.answered")), "{told:?}");
    assert_eq!(ada.get(&path).await.ok()["status"], "answered");
    let log = operator.get("/admin/v1/audit-log?action=ticket.answered").await.ok();
    assert_eq!(log["items"][0]["subject"], ticket["id"], "{log}");

    ada.patch(&path, json!({ "status": "closed" })).await.ok();
    ada.post(&format!("{path}/messages"), json!({ "text": "No, it is back" })).await.ok();
    let seen = ada.get(&path).await.ok();
    assert_eq!(seen["status"], "open", "whoever writes to a closed ticket opens it");
    let sources: Vec<_> =
        seen["messages"].as_array().unwrap().iter().map(|it| &it["source"]).collect();
    assert_eq!(sources, ["customer", "operator", "customer"]);
    let open = operator.get("/admin/v1/tickets?status=open").await.ok();
    assert_eq!(open["items"][0]["id"], ticket["id"]);
    let set = operator.patch(&format!("/admin{path}"), json!({ "status": "closed" })).await.ok();
    assert_eq!(set["status"], "closed");
    let log = operator.get("/admin/v1/audit-log?action=ticket.set").await.ok();
    assert_eq!(log["items"][0]["after"]["status"], "closed", "{log}");
}

#[tokio::test]
async fn a_ticket_is_its_authors_alone_even_in_their_org() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    let bob = app.member(&ada, Role::Admin).await;
    let ticket = open(&ada, "About Bob").await;
    let path = format!("/v1/tickets/{}", ticket["id"].as_str().unwrap());
    assert_eq!(bob.get("/v1/tickets").await.ok()["items"], json!([]));
    assert_eq!(bob.get(&path).await.problem(), (404, "ticket_not_found".into()));
    let closed = bob.patch(&path, json!({ "status": "closed" })).await;
    assert_eq!(closed.problem(), (404, "ticket_not_found".into()));
    let message = bob.post(&format!("{path}/messages"), json!({ "text": "Hi" })).await;
    assert_eq!(message.problem(), (404, "ticket_not_found".into()));
    assert_eq!(ada.get(&path).await.ok()["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_no_ticket_is_refused_by_name_of_the_field() {
    let app = TestApp::start().await;
    let ada = app.owner().await;
    for (field, input) in [
        ("/subject", json!({ "subject": " ", "text": "x" })),
        ("/subject", json!({ "subject": "x".repeat(201), "text": "x" })),
        ("/text", json!({ "subject": "x", "text": "é".repeat(10_001) })),
        ("/request_id", json!({ "subject": "x", "text": "x", "request_id": "a b" })),
        ("/request_id", json!({ "subject": "x", "text": "x", "request_id": "1".repeat(129) })),
    ] {
        let refused = ada.post("/v1/tickets", input).await;
        assert_eq!(refused.body["errors"][0]["pointer"], field, "{refused:?}");
    }
    let ticket = open(&ada, "x").await;
    let path = format!("/v1/tickets/{}", ticket["id"].as_str().unwrap());
    let answered = ada.patch(&path, json!({ "status": "answered" })).await;
    assert_eq!(answered.body["errors"][0]["pointer"], "/status", "{answered:?}");
}

#[tokio::test]
async fn one_person_writes_only_so_much_and_who_is_suspended_may_write() {
    let app = TestApp::start_with(|it| it.rate_limit.rate_limits = rate_limit::Switch::On).await;
    let (ada, operator) = (app.owner().await, app.operator().await);
    let suspension = json!({ "reason": "unpaid" });
    let path = format!("/admin/v1/orgs/{}/suspension", ada.org());
    operator.put(&path, suspension).await.ok();
    for _ in 0..30 {
        open(&ada, "Help").await;
    }
    let ticket = json!({ "subject": "Help", "text": "Help" });
    let refused = ada.post("/v1/tickets", ticket).await;
    assert_eq!(refused.status, 429, "{refused:?}");
}

#[tokio::test]
async fn what_is_old_is_forgotten_and_nothing_else() {
    let app = TestApp::start().await;
    let (ada, operator) = (app.owner().await, app.operator().await);
    let old = open(&ada, "Old").await;
    answer(&operator, &old, "Yes").await;
    let idea = json!({ "kind": "idea", "comment": "More" });
    ada.post("/v1/feedback", idea.clone()).await.ok();
    ada.post("/v1/client-errors", json!({ "message": "x" })).await;
    app.advance(TimeDelta::days(31));
    run(&app, "client_errors.purge").await;
    assert_eq!(count(&app, "client_errors").await, 0);
    app.advance(TimeDelta::days(700));
    sqlx::query(
        "insert into tickets (id, org_id, user_id, subject, status, plan, errors, created_at, updated_at)
         values (gen_random_uuid(), $1, $2, 'New', 'open', 'free', '[]', $3, $3)",
    )
    .bind(ada.org())
    .bind(ada.user())
    .bind(app.clock.now())
    .execute(app.db.pool())
    .await
    .unwrap();
    run(&app, "support.purge").await;
    let tables = ["tickets", "ticket_messages", "feedback", "notifications"];
    for (table, left) in tables.iter().zip([1, 0, 0, 0]) {
        assert_eq!(count(&app, table).await, left, "{table}");
    }
}

#[tokio::test]
async fn an_export_of_the_org_has_nothing_that_is_its_authors_alone() {
    let app = TestApp::start().await;
    for table in ["tickets", "ticket_messages", "feedback", "onboarding_steps", "client_errors"] {
        let kept = app.personal_data.iter().find(|it| it.table == table).unwrap();
        assert!(kept.person.unwrap().exported, "{table} is in the export of its person");
        assert!(!kept.org.unwrap().exported, "{table}");
    }
}
