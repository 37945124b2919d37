use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use simulators::stripe::Card;
use testing::{Client, Reply, TestApp};
use url::form_urlencoded;

/// The secrets of the simulator that tests run with.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_simulator";
const SECRET_KEY: &str = "sk_test_simulator";

pub(crate) async fn buy(client: &Client, item: &str) -> Reply {
    client.post("/v1/billing/checkout-sessions", json!({ "item": item })).await
}

/// The simulator's id of the page that a checkout leads to.
pub(crate) fn session_of(checkout: &Value) -> String {
    let url = checkout["url"].as_str().expect("a page");
    url.rsplit('/').next().unwrap_or_default().to_owned()
}

pub(crate) fn pay(app: &TestApp, checkout: &Value) -> Value {
    app.simulators.stripe.pay(&session_of(checkout), Card::Accepted).expect("pay")
}

/// Buys and pays, and lets everything follow that follows.
pub(crate) async fn bought(app: &TestApp, client: &Client, item: &str) -> Value {
    let paid = pay(app, &buy(client, item).await.ok());
    settle(app).await;
    paid
}

/// Lets events arrive and be applied.
pub(crate) async fn settle(app: &TestApp) {
    app.simulators.stripe.settled().await;
    app.run_jobs().await;
}

pub(crate) async fn credits(client: &Client) -> i64 {
    client.get("/v1/quotas").await.ok()["credits"]["available"].as_i64().expect("a number")
}

/// The plan in force.
pub(crate) async fn plan(client: &Client) -> String {
    client.get("/v1/quotas").await.ok()["plan"].as_str().unwrap_or_default().to_owned()
}

/// The simulator's objects of one kind.
pub(crate) fn at_stripe(app: &TestApp, kind: &str) -> Vec<Value> {
    let state = app.simulators.stripe.state().expect("the simulator's state");
    let objects = state["state"]["objects"][kind].as_object().cloned().unwrap_or_default();
    objects.into_iter().map(|(_, object)| object).collect()
}

/// Does at Stripe what an operator does in its dashboard.
pub(crate) async fn at_dashboard(
    app: &TestApp,
    method: Method,
    path: &str,
    form: &[(&str, &str)],
) -> Value {
    let response = try_at_dashboard(app, method, path, form).await.expect("the simulator answers");
    let response = response.error_for_status().expect("the simulator does it");
    response.json().await.expect("JSON")
}

/// Tries to.
pub(crate) async fn try_at_dashboard(
    app: &TestApp,
    method: Method,
    path: &str,
    form: &[(&str, &str)],
) -> reqwest::Result<reqwest::Response> {
    let url = format!("{}/v1/{path}", app.simulators.stripe.url());
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = reqwest::Client::new().request(method, url).bearer_auth(SECRET_KEY).body(form);
    request.send().await
}

pub(crate) async fn count(app: &TestApp, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(app.db.pool()).await.expect("count")
}

/// The outcome of each event in the inbox that is about `kind`.
pub(crate) async fn outcomes(app: &TestApp, kind: &str) -> Vec<Option<String>> {
    sqlx::query_scalar("select outcome from stripe_events where type = $1 order by received_at, id")
        .bind(kind)
        .fetch_all(app.db.pool())
        .await
        .expect("read the inbox")
}

/// A `Stripe-Signature` of `body` made `seconds` ago.
pub(crate) fn signature(app: &TestApp, secret: &str, body: &str, seconds: i64) -> String {
    let at = app.clock.now().timestamp() - seconds;
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
    let mac = mac.chain_update(format!("{at}.{body}"));
    format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// Sends `body` to the webhook.
pub(crate) async fn send(app: &TestApp, body: &str, signature: &str) -> Reply {
    let request = app.anonymous().request(Method::POST, "/v1/webhooks/stripe");
    let request = request.header("stripe-signature", signature).body(body.to_owned());
    Reply::read(request.send().await.expect("an answer")).await
}

/// Sends an event signed as Stripe signs.
pub(crate) async fn send_event(app: &TestApp, event: &Value) -> Reply {
    let body = event.to_string();
    send(app, &body, &signature(app, WEBHOOK_SECRET, &body, 0)).await
}

/// The same person after their access token has expired.
pub(crate) async fn signed_in_again(client: &Client) -> Client {
    let credentials = json!({ "email": client.email, "password": testing::PASSWORD });
    let session = client.post("/v1/sessions", credentials).await.ok();
    client.with_key(session["access_token"].as_str().expect("a token"))
}

/// Does what time brings about, as the schedule would.
pub(crate) async fn upkeep(app: &TestApp) {
    sqlx::query("select graphile_worker.add_job('billing.upkeep', '{\"job\": {}}'::json)")
        .execute(app.db.pool())
        .await
        .expect("queue the upkeep");
    app.run_jobs().await;
}

/// Lets time pass, a day at a time, at Stripe and here; everything that falls due happens.
pub(crate) async fn live(app: &TestApp, time: TimeDelta) {
    let end = app.clock.now() + time;
    while app.clock.now() < end {
        app.advance(TimeDelta::days(1).min(end - app.clock.now()));
        app.simulators.stripe.live_until(app.clock.now().timestamp()).expect("live");
        settle(app).await;
        upkeep(app).await;
    }
}

/// Lets time pass until `time`.
pub(crate) async fn live_until(app: &TestApp, time: &str) {
    let time: DateTime<Utc> = time.parse().expect("a time");
    live(app, time - app.clock.now()).await;
}

/// What the org subscribed to, for somebody whose token may have expired.
pub(crate) async fn subscription(client: &Client) -> Value {
    signed_in_again(client).await.get("/v1/billing/subscription").await.ok()
}

/// Somebody of `owner`'s org in another role.
pub(crate) async fn colleague(app: &TestApp, owner: &Client, role: &str) -> Client {
    let colleague = app.owner().await;
    for query in [
        "delete from memberships where user_id = $1 and $2::uuid is not null and $3::text is not null",
        "insert into memberships (org_id, user_id, role, created_at) values ($2, $1, $3, now())",
        "update sessions set org_id = $2 where user_id = $1 and $3::text is not null",
    ] {
        sqlx::query(query)
            .bind(colleague.user().uuid())
            .bind(owner.org().uuid())
            .bind(role)
            .execute(app.db.pool())
            .await
            .expect("move somebody to the org");
    }
    signed_in_again(&colleague).await
}
