use chrono::TimeDelta;
use serde_json::{Value, json};
use testing::{Client, TestApp};

use crate::{chat, provider_calls, streamed};

fn off() -> Value {
    json!({ "on": false, "reason": "A leaked key" })
}

fn on() -> Value {
    json!({ "on": true })
}

async fn call(client: &Client) -> (u16, String) {
    let reply = client.post("/v1/chat/completions", chat()).await;
    if reply.status.is_success() { (200, String::new()) } else { reply.problem() }
}

fn stopped() -> (u16, String) {
    (503, "ai_switched_off".to_owned())
}

fn going() -> (u16, String) {
    (200, String::new())
}

/// Subjects of the mails that somebody got.
async fn mails(app: &TestApp, to: &Client) -> Vec<String> {
    app.run_jobs().await;
    app.simulators
        .mailbox
        .messages_to(&to.email)
        .into_iter()
        .map(|mail| mail.subject.clone())
        .collect()
}

#[tokio::test]
async fn an_owner_switches_the_orgs_calls_off_and_on_and_nobody_elses() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    assert_eq!(call(&ours).await, going());

    let control = ours.put("/v1/ai-control", off()).await.ok();

    assert_eq!(
        (&control["stop"]["by"], &control["stop"]["reason"]),
        (&json!("owner"), &json!("A leaked key"))
    );
    assert_eq!(call(&ours).await, stopped());
    let reply = ours.post("/v1/chat/completions", streamed()).await;
    assert!(reply.header("retry-after").is_some());
    assert_eq!(reply.body["error"]["code"], "ai_switched_off");
    assert_eq!(call(&theirs).await, going());
    assert_eq!(ours.get("/v1/projects").await.status, 200, "the rest goes on");
    ours.put("/v1/ai-control", on()).await.ok();
    assert_eq!(call(&ours).await, going());
    assert_eq!(mails(&app, &ours).await, ["AI calls are switched off", "AI calls are switched on"]);
    let log = ours.get("/v1/audit-log?action=ai_control.changed").await.ok();
    assert_eq!(log["items"].as_array().unwrap().len(), 2);
    assert_eq!(log["items"][1]["after"]["stop"]["reason"], "A leaked key");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn only_a_signed_in_owner_may() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let key = owner.post("/v1/api-keys", json!({ "name": "all" })).await.ok();
    let key = owner.with_key(key["secret"].as_str().unwrap());
    assert_eq!(key.put("/v1/ai-control", off()).await.status, 403);
    sqlx::query("update memberships set role = 'admin'").execute(app.db.pool()).await.unwrap();
    app.db.changes().note(owner.user());
    assert_eq!(owner.put("/v1/ai-control", off()).await.status, 403);
    assert_eq!(owner.get("/v1/ai-control").await.ok()["stop"], Value::Null);
}

#[tokio::test]
async fn what_operators_switch_off_its_owner_cannot_switch_on() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let path = format!("/admin/v1/orgs/{}/ai-control", owner.org());
    operator.put(&path, off()).await.ok();

    assert_eq!(call(&owner).await, stopped());
    assert_eq!(owner.put("/v1/ai-control", on()).await.problem(), (403, "forbidden".into()));
    // Nor by switching off what is off already.
    owner.put("/v1/ai-control", off()).await.ok();
    assert_eq!(owner.put("/v1/ai-control", on()).await.status, 403);
    operator.put(&path, on()).await.ok();
    assert_eq!(call(&owner).await, going());
}

#[tokio::test]
async fn operators_switch_everybody_off() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    assert_eq!(call(&owner).await, going());

    operator.put("/admin/v1/ai-control", off()).await.ok();
    assert_eq!(call(&owner).await, stopped());
    assert_eq!(provider_calls(&app), 1);
    operator.put("/admin/v1/ai-control", on()).await.ok();

    assert_eq!(call(&owner).await, going());
    assert_eq!(mails(&app, &operator).await.len(), 2);
    assert_eq!(mails(&app, &owner).await.len(), 0);
}

#[tokio::test]
async fn a_call_in_flight_ends_as_usual() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    app.simulators.ai.hold();
    let calling = tokio::spawn({
        let owner = owner.clone();
        async move { call(&owner).await }
    });
    app.simulators.ai.wait_for_calls(1).await;

    owner.put("/v1/ai-control", off()).await.ok();
    app.simulators.ai.release();

    assert_eq!(calling.await.unwrap(), going());
    assert_eq!(call(&owner).await, stopped());
    app.assert_books_balance().await;
}

#[tokio::test]
async fn past_its_threshold_a_cheaper_model_replaces_the_one_that_was_asked_for() {
    let app = TestApp::start().await;
    assert_eq!(served_by(&app, 79).await, "gpt-4o");
    assert_eq!(served_by(&app, 85).await, "gpt-4o-mini");
}

/// Which model serves an org that asks for gpt-4o with so many percent of its plan's money used up.
async fn served_by(app: &TestApp, percent: i64) -> String {
    let owner = app.owner().await;
    let control = json!({ "on": true, "cheaper_from": 80, "cheaper": { "gpt-4o": "gpt-4o-mini" } });
    owner.put("/v1/ai-control", control).await.ok();
    sqlx::query(
        "update budgets set spent = amount / 100 * $2 where org_id = $1 and unit = 'nano_usd'",
    )
    .bind(owner.org())
    .bind(percent)
    .execute(app.db.pool())
    .await
    .unwrap();
    let mut dear = chat();
    dear["model"] = "gpt-4o".into();
    let reply = owner.post("/v1/chat/completions", dear).await;
    reply.header("x-slipway-model").unwrap().to_owned()
}

#[tokio::test]
async fn nonsense_is_refused() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for input in [
        json!({}),
        json!({ "on": "no" }),
        json!({ "on": true, "cheaper_from": 0 }),
        json!({ "on": true, "cheaper_from": 101 }),
        json!({ "on": true, "cheaper": { "a": "b", "b": "c" } }),
        json!({ "on": false, "reason": "x".repeat(201) }),
        json!({ "on": true, "when_exhausted": "explode" }),
    ] {
        assert_eq!(owner.put("/v1/ai-control", input.clone()).await.problem().0, 422, "{input}");
    }
    let stale = owner.header("if-match", "\"7\"").put("/v1/ai-control", off()).await;
    assert_eq!(stale.problem(), (412, "stale_version".into()));
}

#[tokio::test]
async fn unusual_spending_trips_the_orgs_switch_once_and_its_owner_may_go_on() {
    let app = TestApp::start().await;
    let (operator, spender, other) = (app.operator().await, app.owner().await, app.owner().await);
    spend(&app, &spender, 3, TimeDelta::hours(5)).await;
    spend(&app, &spender, 25, TimeDelta::minutes(2)).await;
    spend(&app, &other, 24, TimeDelta::hours(5)).await;
    spend(&app, &other, 25, TimeDelta::minutes(2)).await;
    assert_eq!(call(&spender).await, going());

    watch(&app).await;
    assert_eq!(call(&spender).await, going(), "not yet ten times the usual");
    spend(&app, &spender, 6, TimeDelta::minutes(1)).await;
    watch(&app).await;
    watch(&app).await;

    assert_eq!(call(&spender).await, stopped());
    assert_eq!(call(&other).await, going(), "as much is usual there");
    assert_eq!(spender.get("/v1/ai-control").await.ok()["stop"]["by"], "anomaly");
    assert_eq!(mails(&app, &spender).await, ["AI calls are switched off"]);
    assert_eq!(mails(&app, &operator).await, ["AI calls are switched off"]);
    spender.put("/v1/ai-control", on()).await.ok();
    assert_eq!(call(&spender).await, going());
}

/// Books a call of so many dollars, so long ago.
async fn spend(app: &TestApp, client: &Client, dollars: i64, ago: TimeDelta) {
    sqlx::query(
        "insert into usage_records
             (id, org_id, operation, provider, model, price_id, outcome, paid_by, input_tokens,
              cached_input_tokens, output_tokens, images, estimated, cost_nano_usd, credits,
              reserved_at, created_at)
         values (gen_random_uuid(), $1, 'chat', 'openai', 'gpt-4o', gen_random_uuid(), 'succeeded',
                 'plan', 1, 0, 1, 0, false, $2, 0, $3, $3)",
    )
    .bind(client.org())
    .bind(dollars * 1_000_000_000)
    .bind(app.clock.now() - ago)
    .execute(app.db.pool())
    .await
    .unwrap();
}

async fn watch(app: &TestApp) {
    run(app, "ai.watch_spend").await;
}

pub(crate) async fn run(app: &TestApp, job: &str) {
    sqlx::query("select graphile_worker.add_job($1, '{\"job\": {}}'::json)")
        .bind(job)
        .execute(app.db.pool())
        .await
        .unwrap();
    app.run_jobs().await;
}

#[tokio::test]
async fn who_should_know_is_told_once_of_each_step_of_a_budget() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let budget = json!({ "scope": "org", "period": "day", "unit": "requests", "amount": 4 });
    owner.post("/v1/budgets", budget).await.ok();
    let told = async |calls: usize| {
        for _ in 0..calls {
            assert_eq!(call(&owner).await, going());
        }
        app.ai.drain().await;
        run(&app, "ai.alert_budgets").await;
        run(&app, "ai.alert_budgets").await;
        mails(&app, &owner).await
    };
    let step = |percent: i64| {
        format!("{percent} % of the daily request budget of your organization are used")
    };

    assert_eq!(told(1).await, [""; 0]);
    assert_eq!(told(1).await, [step(50)]);
    assert_eq!(told(1).await, [step(50)], "75 % are no step");
    assert_eq!(told(1).await, [step(50), step(100)], "the highest step that was reached");
    assert_eq!(told(0).await.len(), 2);
    let log = owner.get("/v1/audit-log?action=budget.alerted").await.ok();
    assert_eq!(log["items"].as_array().unwrap().len(), 2);

    sqlx::query(
        "update budgets set spent = amount * 8 / 10 where scope = 'global' and period = 'day'",
    )
    .execute(app.db.pool())
    .await
    .unwrap();
    run(&app, "ai.alert_budgets").await;
    assert_eq!(
        mails(&app, &operator).await,
        ["80 % of the daily spend budget of the platform are used"]
    );
}
