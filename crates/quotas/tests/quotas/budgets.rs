use chrono::TimeDelta;
use serde_json::{Value, json};
use testing::{Client, TestApp};

fn requests(amount: i64) -> Value {
    json!({ "scope": "org", "period": "day", "unit": "requests", "amount": amount })
}

async fn call(client: &Client) -> testing::Reply {
    let body = json!({
        "model": "gpt-4o-mini", "max_tokens": 10,
        "messages": [{ "role": "user", "content": "hello" }],
    });
    client.post("/v1/chat/completions", body).await
}

/// How many of so many calls at once are served.
async fn served(client: &Client, calls: usize) -> usize {
    let calls = futures::future::join_all((0..calls).map(|_| call(client))).await;
    calls.iter().filter(|reply| reply.status == 200).count()
}

async fn key(owner: &Client) -> (String, Client) {
    let key = owner.post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
    (key["id"].as_str().unwrap().to_owned(), owner.with_key(key["secret"].as_str().unwrap()))
}

pub(crate) async fn sign_in_again(app: &TestApp, owner: &Client) -> Client {
    let credentials = json!({ "email": owner.email, "password": testing::PASSWORD });
    let session = app.anonymous().post("/v1/sessions", credentials).await.ok();
    owner.with_key(session["access_token"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_holds_from_the_next_call_on_and_names_itself() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    assert_eq!(call(&owner).await.status, 200);
    let budget = owner.post("/v1/budgets", requests(2)).await.ok();
    assert_eq!((&budget["used"], &budget["remaining"]), (&json!(0), &json!(2)));

    assert_eq!(served(&owner, 10).await, 2);

    let refused = call(&owner).await;
    assert_eq!(refused.body["budget"]["id"], budget["id"], "{refused:?}");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.problem(), (429, "quota_exhausted".into()));
    let path = format!("/v1/budgets/{}", budget["id"].as_str().unwrap());
    let budget = owner.get(&path).await.ok();
    assert_eq!((&budget["used"], &budget["remaining"]), (&json!(2), &json!(0)));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_project_has_a_budget_of_its_own_whoever_calls_for_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let (ship, other) = (uuid::Uuid::now_v7(), uuid::Uuid::now_v7().to_string());
    let budget = json!({
        "scope": "project", "subject_id": ship, "period": "month", "unit": "requests", "amount": 2,
    });
    owner.post("/v1/budgets", budget).await.ok();
    let (_, program) = key(&owner).await;
    let for_ship = [&owner, &program].map(|it| it.header("x-slipway-project", &ship.to_string()));

    assert_eq!(served(&for_ship[0], 1).await + served(&for_ship[1], 5).await, 2);

    assert_eq!(call(&for_ship[0]).await.problem(), (429, "quota_exhausted".into()));
    assert_eq!(call(&owner.header("x-slipway-project", &other)).await.status, 200);
    assert_eq!(call(&owner).await.status, 200);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn it_is_changed_raised_and_removed_at_run_time_and_each_is_written_down() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let budget = owner.post("/v1/budgets", requests(1)).await.ok();
    let path = format!("/v1/budgets/{}", budget["id"].as_str().unwrap());
    assert_eq!(served(&owner, 3).await, 1);

    owner.patch(&path, json!({ "amount": 2 })).await.ok();
    assert_eq!(served(&owner, 3).await, 1);
    let until = app.clock.now() + TimeDelta::hours(1);
    let raised = owner.put(&format!("{path}/raise"), json!({ "by": 1, "until": until })).await.ok();
    assert_eq!(raised["raise"]["by"], 1);
    assert_eq!(served(&owner, 3).await, 1);
    app.advance(TimeDelta::hours(2));
    let owner = sign_in_again(&app, &owner).await;
    assert_eq!(owner.get(&path).await.ok()["raise"], Value::Null);
    assert_eq!(owner.delete(&path).await.status, 204);
    assert_eq!(owner.get(&path).await.problem(), (404, "budget_not_found".into()));

    let log = owner.get("/v1/audit-log").await.ok();
    let actions = log["items"].as_array().unwrap().iter().filter_map(|it| it["action"].as_str());
    let actions: Vec<&str> = actions.filter(|action| action.starts_with("budget.")).collect();
    assert_eq!(actions, ["budget.removed", "budget.raised", "budget.changed", "budget.created"]);
    assert_eq!(served(&owner, 3).await, 2, "what is left of the plan's five");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_key_a_person_and_an_operation_have_budgets_of_their_own() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let ((id, capped), (_, free)) = (key(&owner).await, key(&owner).await);
    let of_key = json!({ "scope": "key", "subject_id": id, "period": "lifetime", "unit": "requests", "amount": 1 });
    owner.post("/v1/budgets", of_key).await.ok();
    let of_images = json!({
        "scope": "user", "subject_id": owner.user(), "period": "month", "unit": "nano_usd",
        "operation": "image", "amount": 0,
    });
    owner.post("/v1/budgets", of_images).await.ok();

    assert_eq!(served(&capped, 2).await, 1);
    assert!(call(&capped).await.header("retry-after").is_none(), "it never begins anew");
    assert_eq!(served(&free, 2).await, 2);
    let image = json!({ "model": "gpt-image-1", "prompt": "a slipway" });
    assert_eq!(free.post("/v1/images/generations", image).await.problem().1, "call_too_large");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_soft_budget_counts_and_stops_nothing() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let mut soft = requests(1);
    soft["soft"] = true.into();
    let budget = owner.post("/v1/budgets", soft).await.ok();

    assert_eq!(served(&owner, 3).await, 3);

    let path = format!("/v1/budgets/{}", budget["id"].as_str().unwrap());
    assert_eq!(owner.get(&path).await.ok()["used"], 3);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_budget_removed_while_calls_are_in_flight_does_not_disturb_their_end() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let budget = owner.post("/v1/budgets", requests(5)).await.ok();
    app.simulators.ai.hold();
    let calls = tokio::spawn({
        let owner = owner.clone();
        async move { served(&owner, 3).await }
    });
    app.simulators.ai.wait_for_calls(3).await;
    let path = format!("/v1/budgets/{}", budget["id"].as_str().unwrap());
    assert_eq!(owner.delete(&path).await.status, 204);
    app.simulators.ai.release();

    assert_eq!(calls.await.unwrap(), 3);
    assert_eq!(owner.get("/v1/usage").await.ok()["total"]["calls"], 3);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn nonsense_strangers_keys_and_stale_edits_are_refused() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    for (field, value) in [
        ("amount", json!(-1)),
        ("amount", json!(i64::MAX)),
        ("amount", json!(1.5)),
        ("scope", json!("global")),
        ("scope", json!("key")),
        ("subject_id", json!(ours.user())),
        ("unit", json!("unknowns")),
        ("operation", json!("rm -rf")),
        ("period", json!("week")),
        ("limit", json!(1)),
    ] {
        let mut input = requests(1);
        input[field] = value.clone();
        assert_eq!(ours.post("/v1/budgets", input).await.problem().0, 422, "{field} = {value}");
    }
    let budget = ours.post("/v1/budgets", requests(1)).await.ok();
    assert_eq!(
        ours.post("/v1/budgets", requests(2)).await.problem(),
        (409, "budget_exists".into())
    );
    let path = format!("/v1/budgets/{}", budget["id"].as_str().unwrap());
    let stale = ours.header("if-match", "\"99\"").patch(&path, json!({ "amount": 5 })).await;
    assert_eq!(stale.problem(), (412, "stale_version".into()));
    let past = json!({ "by": 1, "until": "2001-01-01T00:00:00Z" });
    assert_eq!(ours.put(&format!("{path}/raise"), past).await.problem().0, 422);
    for reply in [theirs.get(&path).await, theirs.delete(&path).await] {
        assert_eq!(reply.problem(), (404, "budget_not_found".into()));
    }
    let (_, program) = key(&ours).await;
    assert_eq!(program.delete(&path).await.status, 403);
    assert_eq!(program.get(&path).await.status, 200);
}

#[tokio::test]
async fn operators_see_raise_and_set_the_platforms_and_any_orgs_budgets() {
    let app = TestApp::start().await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let platform = operator.get("/admin/v1/budgets").await.ok();
    assert_eq!(platform.as_array().unwrap().len(), 2);
    let images = json!({ "scope": "global", "period": "day", "unit": "requests", "operation": "chat", "amount": 0 });
    let stop = operator.post("/admin/v1/budgets", images).await.ok();
    assert_eq!(call(&owner).await.status, 422, "nothing fits it");
    let path = format!("/admin/v1/budgets/{}", stop["id"].as_str().unwrap());
    let until = app.clock.now() + TimeDelta::hours(1);
    operator.put(&format!("{path}/raise"), json!({ "by": 1, "until": until })).await.ok();
    assert_eq!(served(&owner, 3).await, 1);
    assert_eq!(call(&owner).await.problem(), (503, "ai_unavailable".into()));
    assert_eq!(operator.delete(&path).await.status, 204);

    let whose = format!("/admin/v1/budgets?org_id={}", owner.org());
    operator.post(&whose, requests(0)).await.ok();
    assert_eq!(owner.get("/v1/budgets").await.ok().as_array().unwrap().len(), 1);
    let log = owner.get("/v1/audit-log?action=budget.created").await.ok();
    assert_eq!(log["items"][0]["actor_kind"], "operator");
    app.assert_books_balance().await;
}
