//! What the product itself tells, where it happens.

use std::collections::HashSet;

use serde_json::{Value, json};
use simulators::{ai::Fault, stripe::Card};
use testing::{Client, PASSWORD, TestApp};
use web::Role;

use crate::{execute, listen};

/// In the order in which it happened: it is told several at a time.
async fn told(app: &TestApp, name: &str) -> Vec<Value> {
    app.run_jobs().await;
    let mut received = app.simulators.sink.received("/a");
    received.sort_by_key(|it| it.headers["webhook-id"].clone());
    let payloads = received.iter().map(|it| serde_json::from_str::<Value>(&it.body).unwrap());
    payloads.filter(|it| it["type"] == name).map(|it| it["data"].clone()).collect()
}

async fn listening() -> (TestApp, Client) {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    listen(&app, &owner, "/a").await;
    (app, owner)
}

#[tokio::test]
async fn every_type_is_described_whole_and_its_example_is_what_its_schema_says() {
    let app = TestApp::start().await;
    let mut names = HashSet::new();
    for it in app.webhooks.types() {
        assert!(names.insert(it.name), "{} is there twice", it.name);
        assert!(it.name.split('.').count() == 2, "{} is no noun.verb", it.name);
        assert!(it.description.ends_with('.'), "{}", it.description);
        assert!(!it.schema.to_string().contains("$ref"), "{}: {}", it.name, it.schema);
        let described = it.schema["properties"].as_object().unwrap();
        for (field, value) in it.example.as_object().unwrap() {
            let schema = &described[field];
            let kinds = schema["type"].as_array().cloned().unwrap_or(vec![schema["type"].clone()]);
            let kind = match value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(_) => "integer",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            assert!(kinds.contains(&json!(kind)), "{}: {field} is {schema}", it.name);
            assert!(schema["description"].is_string(), "{}: {field}", it.name);
        }
    }
}

#[tokio::test]
async fn members_who_come_and_go_are_told() {
    let (app, owner) = listening().await;
    sqlx::query("update entitlements set seats = 9").execute(app.db.pool()).await.unwrap();
    let guest = app.owner().await;
    let invitation = json!({ "email": guest.email, "role": "viewer" });
    owner.post("/v1/invitations", invitation).await.ok();
    app.run_jobs().await;
    let mails = app.simulators.mailbox.messages_to(&guest.email);
    let text = mails.last().unwrap().text.as_ref().unwrap();
    let link = text.split_whitespace().find(|it| it.contains("/invitation-links/")).unwrap();
    let link = &link[link.find("/v1/").unwrap()..];
    guest.post(link, json!({})).await.ok();
    let joined = told(&app, "member.joined").await;
    assert_eq!(joined, [json!({ "user_id": guest.user(), "role": "viewer" })]);

    owner.delete(&format!("/v1/members/{}", guest.user())).await.ok_text();
    let leaver = app.member(&owner, Role::Member).await;
    leaver.delete("/v1/members/me").await.ok_text();
    let removed = told(&app, "member.removed").await;
    assert_eq!(
        removed,
        [
            json!({ "user_id": guest.user(), "role": "viewer", "left": false }),
            json!({ "user_id": leaver.user(), "role": "member", "left": true }),
        ]
    );
}

#[tokio::test]
async fn keys_and_credits_are_told() {
    let (app, owner) = listening().await;
    let key = owner.post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
    let id = key["id"].as_str().unwrap();
    owner.delete(&format!("/v1/api-keys/{id}")).await.ok_text();
    assert_eq!(told(&app, "api_key.created").await[0]["name"], json!("CI"));
    assert_eq!(told(&app, "api_key.revoked").await, [json!({ "api_key_id": id })]);

    // Keys also end with the membership or by the wish of whoever made them.
    let (removed, leaver) =
        (app.member(&owner, Role::Admin).await, app.member(&owner, Role::Admin).await);
    let mut ended = vec![json!({ "api_key_id": id })];
    for maker in [&removed, &leaver, &owner] {
        let key = maker.post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
        ended.push(json!({ "api_key_id": key["id"] }));
    }
    owner.delete(&format!("/v1/members/{}", removed.user())).await.ok_text();
    leaver.delete("/v1/members/me").await.ok_text();
    let change = json!({
        "current_password": PASSWORD, "password": "another long enough pass phrase",
        "revoke_api_keys": true,
    });
    owner.post("/v1/me/password", change).await.ok_text();
    let by_id = |it: &Value| it["api_key_id"].to_string();
    let mut revoked = told(&app, "api_key.revoked").await;
    revoked.sort_by_key(by_id);
    ended.sort_by_key(by_id);
    assert_eq!(revoked, ended);

    let gift = json!({ "credits": 5, "reason": "r", "reference": "one" });
    let operator = app.operator().await;
    for _ in 0..2 {
        operator.post(&format!("/admin/v1/orgs/{}/grants", owner.org()), gift.clone()).await;
    }
    let granted = told(&app, "credits.granted").await;
    assert_eq!(granted, [json!({ "credits": 5, "source": "admin", "expires_at": null })]);
}

#[tokio::test]
async fn calls_that_nobody_waits_for_tell_how_they_end() {
    let (app, owner) = listening().await;
    let chat = |model: &str| json!({ "model": model, "max_tokens": 10, "messages": [{ "role": "user", "content": "hello" }] });
    let later = owner.header("prefer", "respond-async");
    let reply = later.post("/v1/chat/completions", chat("gpt-4o-mini")).await;
    let location = reply.header("location").unwrap();
    let id = location.rsplit('/').next().unwrap();
    app.run_jobs().await;
    owner.get(&format!("{location}/events")).await.ok_text(); // until it has ended
    let completed = told(&app, "generation.completed").await;
    assert_eq!(completed, [json!({ "generation_id": id, "operation": "chat" })]);
    assert_eq!(told(&app, "generation.failed").await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_and_that_fails_is_told_with_the_problems_code() {
    let (app, owner) = listening().await;
    let later = owner.header("prefer", "respond-async");
    let chat = json!({
        "model": "gpt-4o-mini", "max_tokens": 10, "messages": [{ "role": "user", "content": "hello" }],
    });
    app.simulators.ai.next(Fault::Status { status: 400, retry_after: None });
    let reply = later.post("/v1/chat/completions", chat).await;
    let location = reply.header("location").unwrap();
    app.run_jobs().await;
    owner.get(&format!("{location}/events")).await.ok_text(); // until it has ended
    let failed = told(&app, "generation.failed").await;
    assert_eq!(failed[0]["code"], json!("provider_refused"));
    assert_eq!(told(&app, "generation.completed").await, [] as [Value; 0]);
}

#[tokio::test]
async fn each_step_of_a_budget_is_told_once() {
    let (app, owner) = listening().await;
    let budget = json!({ "scope": "org", "period": "day", "unit": "requests", "amount": 2 });
    let budget = owner.post("/v1/budgets", budget).await.ok();
    for percent in [50, 100] {
        let spent = "update budgets set spent = amount * $2 / 100 where id = $1";
        let spent =
            sqlx::query(spent).bind(budget["id"].as_str().unwrap().parse::<uuid::Uuid>().unwrap());
        spent.bind(percent).execute(app.db.pool()).await.unwrap();
        for _ in 0..2 {
            let alert = "select graphile_worker.add_job('ai.alert_budgets', '{\"job\": {}}'::json)";
            execute(&app, alert).await;
            app.run_jobs().await;
        }
    }
    let reached = told(&app, "budget.threshold_reached").await;
    let steps: Vec<_> = reached.iter().map(|it| &it["threshold_percent"]).collect();
    assert_eq!(steps, [&json!(50), &json!(100)]);
    assert_eq!(reached[0]["budget_id"], budget["id"]);
}

#[tokio::test]
async fn credits_that_run_out_and_have_run_out_are_told_once_each() {
    let (app, owner) = listening().await;
    let operator = app.operator().await;
    let grants = format!("/admin/v1/orgs/{}/grants", owner.org());
    let present = json!({ "credits": 100, "reason": "A present", "reference": "present" });
    operator.post(&grants, present).await.ok();
    for spent in [79, 80, 90, 100] {
        let spend = sqlx::query("update grants set spent = $1 where amount = 100");
        spend.bind(spent).execute(app.db.pool()).await.unwrap();
        for _ in 0..2 {
            let alert = "select graphile_worker.add_job('ai.alert_credits', '{\"job\": {}}'::json)";
            execute(&app, alert).await;
            app.run_jobs().await;
        }
    }
    let low = told(&app, "credits.low").await;
    assert_eq!(low, [json!({ "left": 20 }), json!({ "left": 0 })]);
}

#[tokio::test]
async fn what_is_paid_is_told() {
    let (app, owner) = listening().await;
    let buy = json!({ "item": "plan-pro-month" });
    let checkout = owner.post("/v1/billing/checkout-sessions", buy).await.ok();
    let session = checkout["url"].as_str().unwrap().rsplit('/').next().unwrap();
    app.simulators.stripe.pay(session, Card::Accepted).unwrap();
    for _ in 0..2 {
        // Stripe's events, and then what they cause.
        app.simulators.stripe.settled().await;
        app.run_jobs().await;
    }
    let paid = told(&app, "invoice.paid").await;
    assert_eq!((paid.len(), &paid[0]["amount_cents"]), (1, &json!(4900)));
    let changed = told(&app, "subscription.changed").await;
    let last = changed.last().unwrap();
    assert_eq!((&last["plan"], &last["status"]), (&json!("pro"), &json!("active")));
    let granted = told(&app, "credits.granted").await;
    assert_eq!(granted[0]["source"], json!("plan"));
    assert_eq!(told(&app, "invoice.payment_failed").await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_batch_that_has_ended_is_told_and_none_of_its_calls() {
    let (app, owner) = listening().await;
    let call = json!({
        "custom_id": "one", "method": "POST", "url": "/v1/chat/completions",
        "body": {
            "model": "gpt-4o-mini", "max_tokens": 10,
            "messages": [{ "role": "user", "content": "hello" }],
        },
    });
    let body = format!(
        "--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
         --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"calls.jsonl\"\r\n\r\n{call}\r\n--x--\r\n"
    );
    let upload = owner.request(reqwest::Method::POST, "/v1/files");
    let upload = upload.header("content-type", "multipart/form-data; boundary=x").body(body);
    let file = testing::Reply::read(upload.send().await.unwrap()).await.ok();
    let batch = json!({
        "input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h",
    });
    let batch = owner.post("/v1/batches", batch).await.ok();
    let mut ended = vec![];
    for _ in 0..1000 {
        ended = told(&app, "batch.ended").await;
        if !ended.is_empty() {
            break;
        }
        app.ai.drain().await; // The calls that were begun.
    }
    let expected = json!({
        "batch_id": batch["id"].as_str().unwrap(), "status": "completed", "completed": 1, "failed": 0,
    });
    assert_eq!(ended, [expected]);
    assert_eq!(told(&app, "generation.completed").await, [] as [Value; 0]);
}

#[tokio::test]
async fn what_an_outsider_decides_is_told() {
    let (app, owner) = listening().await;
    let question = json!({ "email": "client@example.com", "name": "Grace", "title": "Poster", "description": "Second draft" });
    let approval = owner.post("/v1/approvals", question).await.ok();
    app.run_jobs().await;
    let mail = app.simulators.mailbox.messages_to("client@example.com").pop().unwrap();
    let link = mail.links.iter().find(|it| it.contains("/approval-links/")).unwrap();
    let link = &link[link.find("/v1/").unwrap()..];
    app.anonymous().post(link, json!({ "decision": "reject", "comment": "Bluer." })).await.ok();
    assert_eq!(
        told(&app, "approval.decided").await,
        [
            json!({ "approval_id": approval["id"], "title": "Poster", "email": "client@example.com", "status": "rejected", "comment": "Bluer." })
        ]
    );
}

#[tokio::test]
async fn a_job_that_ends_is_told_once_however_it_ends() {
    let (app, owner) = listening().await;
    let project = owner.post("/v1/projects", json!({ "name": "Ship" })).await.ok();
    let url = format!("/v1/projects/{}/drafts", project["id"].as_str().unwrap());
    let drafts = json!({ "model": "gpt-4o-mini", "briefs": ["A slogan", "A title"] });
    let done = owner.post(&url, drafts.clone()).await.ok();
    app.run_jobs().await;
    let called_off = owner.post(&url, drafts.clone()).await.ok();
    let cancel = format!("/v1/jobs/{}/cancellation", called_off["id"].as_str().unwrap());
    for _ in 0..2 {
        owner.put(&cancel, json!({})).await;
    }
    let ended = |job: &Value, status: &str, succeeded: u8| json!({ "job_id": job["id"], "kind": job["kind"], "status": status, "items": 2, "succeeded": succeeded, "failed": 0 });
    assert_eq!(
        told(&app, "job.ended").await,
        [ended(&done, "succeeded", 2), ended(&called_off, "cancelled", 0)]
    );
    let started = json!({ "job_id": done["id"], "kind": done["kind"], "items": 2 });
    assert_eq!(told(&app, "job.started").await, [started], "the other never began");
}

#[tokio::test]
async fn a_copy_of_an_org_that_is_ready_is_told_and_a_persons_is_not() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let url = format!("{}/a", app.simulators.sink.url());
    let endpoint = json!({ "url": url, "events": ["export.ready"] });
    owner.post("/v1/webhook-endpoints", endpoint).await.ok();
    owner.post("/v1/me/exports", json!(null)).await.ok();
    let export = owner.post("/v1/org/exports", json!(null)).await.ok();
    app.run_jobs().await;
    let ready = told(&app, "export.ready").await;
    assert_eq!((ready.len(), &ready[0]["export_id"]), (1, &export["id"]));
    assert!(ready[0]["bytes"].as_i64().unwrap() > 0, "{ready:?}");
}
