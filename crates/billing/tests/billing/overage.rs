//! Credits used beyond those that an org has.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use simulators::stripe::{Card, Fault, Trouble};
use testing::{Client, Reply, TestApp};

use crate::support::{
    at_dashboard, at_stripe, bought, count, credits, live, settle, signed_in_again,
};

const PATH: &str = "/v1/billing/subscription";

/// Plans that include nothing but five credits a month; two of them offer overage, at a quarter each.
async fn start() -> TestApp {
    let app = TestApp::start().await;
    let mut catalogue = include_str!("../../catalogue.toml").to_owned();
    for (from, to) in [
        ("generations_per_day = ", "generations_per_day = 0 # "),
        ("credits_per_month = 100\n", "credits_per_month = 5\n"),
        ("credits_per_month = 500\n", "credits_per_month = 5\noverage_credits_per_month = 10\n"),
        ("credits_per_month = 2_500\n", "credits_per_month = 5\noverage_credits_per_month = 20\n"),
        ("overage_cents = 0", "overage_cents = 25"),
    ] {
        assert!(catalogue.contains(from), "nothing says {from}");
        catalogue = catalogue.replace(from, to);
    }
    app.billing.sync_catalogue(Some(&catalogue), false).await.unwrap();
    app.run_jobs().await;
    app
}

async fn subscriber(app: &TestApp, item: &str) -> Client {
    let owner = app.owner().await;
    bought(app, &owner, item).await;
    owner
}

async fn wish(client: &Client, credits: i64) -> Reply {
    client.patch(PATH, json!({ "overage_credits": credits })).await
}

/// Makes so many calls of a credit each; answers how many were served.
async fn call(client: &Client, times: usize) -> usize {
    let key = client.post("/v1/api-keys", json!({ "name": "calls" })).await.ok();
    let client = client.with_key(key["secret"].as_str().unwrap());
    let mut served = 0;
    for _ in 0..times {
        let message = json!([{ "role": "user", "content": "Hi" }]);
        let call = json!({ "model": "gpt-4o-mini", "messages": message, "max_tokens": 5 });
        let answer = client.post("/v1/chat/completions", call).await;
        if answer.status.is_success() {
            served += 1;
        } else {
            assert_eq!(answer.status, 402, "{:?}", answer.body);
        }
    }
    served
}

/// Tells Stripe, as every minute.
async fn report(app: &TestApp) {
    app.quotas.settled().await;
    sqlx::query("select graphile_worker.add_job('billing.report_overage', '{\"job\": {}}'::json)")
        .execute(app.db.pool())
        .await
        .unwrap();
    app.run_jobs().await;
}

/// What the meter has counted.
fn metered(app: &TestApp) -> Vec<i64> {
    let events = at_stripe(app, "billing.meter_event");
    let value = |event: &Value| event["payload"]["value"].as_str().unwrap().parse().unwrap();
    events.iter().map(value).collect()
}

/// The amounts of the lines of overage on all invoices.
fn billed(app: &TestApp) -> Vec<i64> {
    let mut invoices = at_stripe(app, "invoice");
    invoices.sort_by_key(|invoice| invoice["created"].as_i64());
    let lines = invoices.iter().flat_map(|it| it["lines"]["data"].as_array().unwrap().clone());
    let of_overage = |line: &Value| {
        let price = &line["pricing"]["price_details"]["product"];
        (price == "overage").then(|| line["amount"].as_i64().unwrap())
    };
    lines.filter_map(|line| of_overage(&line)).filter(|amount| *amount > 0).collect()
}

async fn until_the_period_ends(app: &TestApp, owner: &Client) {
    let subscription = signed_in_again(owner).await.get(PATH).await.ok();
    let end: chrono::DateTime<chrono::Utc> =
        subscription["current_period_end"].as_str().unwrap().parse().unwrap();
    live(app, end - app.clock.now() + TimeDelta::hours(2)).await;
}

#[tokio::test]
async fn overage_is_spent_last_up_to_the_cap_and_billed_with_the_next_invoice() {
    let app = start().await;
    let owner = subscriber(&app, "plan-pro-month").await;
    bought(&app, &owner, "pack-10").await;
    let changed = wish(&owner, 4).await.ok();
    assert_eq!(changed["overage"]["cap_credits"], 4);
    assert_eq!(call(&owner, 15).await, 15, "the plan's five and the pack's ten");
    report(&app).await;
    assert_eq!(metered(&app), [0; 0], "none of them is overage");

    assert_eq!(call(&owner, 3).await, 3);
    report(&app).await;
    assert_eq!(call(&owner, 3).await, 1, "four in all, and no more");
    report(&app).await;
    report(&app).await;
    assert_eq!(metered(&app), [3, 1], "each once");
    let seen = owner.get(PATH).await.ok();
    let expected = json!({ "cents_per_credit": 25, "currency": "usd", "most_credits": 10,
                           "cap_credits": 4, "used_credits": 4, "amount_cents": 100 });
    assert_eq!(seen["overage"], expected);
    let quotas = owner.get("/v1/quotas").await.ok();
    assert_eq!(
        (&quotas["credits"]["available"], &quotas["credits"]["overage"]),
        (&json!(0), &json!(0))
    );

    until_the_period_ends(&app, &owner).await;
    assert_eq!(billed(&app), [100]);
    let owner = signed_in_again(&owner).await;
    let payments = owner.get("/v1/billing/payments").await.ok();
    assert_eq!(payments["items"][0]["amount_cents"], 4900 + 100, "with the renewal");
    let quotas = owner.get("/v1/quotas").await.ok();
    assert_eq!(quotas["credits"]["overage"], 4, "the cap is for each period");
    assert_eq!(credits(&owner).await, 5);
    let operator = app.operator().await;
    let found = operator.post("/admin/v1/billing/reconciliations", json!({})).await.ok();
    assert_eq!(found["findings"], json!([]), "{found}");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn nobody_is_billed_for_overage_that_they_did_not_ask_for() {
    let app = start().await;
    let owner = subscriber(&app, "plan-pro-month").await;
    assert_eq!(owner.get(PATH).await.ok()["overage"]["cap_credits"], 0);
    assert_eq!(call(&owner, 6).await, 5);
    assert_eq!(wish(&owner, 11).await.problem(), (422, "no_such_overage".into()));
    assert_eq!(wish(&owner, -1).await.problem(), (422, "no_such_overage".into()));
    for item in ["plan-creator-month", "plan-pro-year"] {
        let other = subscriber(&app, item).await;
        assert_eq!(wish(&other, 1).await.problem(), (422, "no_such_overage".into()), "{item}");
        assert_eq!(call(&other, 6).await, 5);
    }
    let free = app.owner().await;
    assert_eq!(wish(&free, 1).await.problem(), (404, "not_subscribed".into()));
    report(&app).await;
    assert_eq!(metered(&app), [0; 0]);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn no_plan_is_paid_for_with_overage_that_is_refused() {
    let app = start().await;
    let owner = subscriber(&app, "plan-pro-month").await;
    let invoices = at_stripe(&app, "invoice").len();

    let both = json!({ "item": "plan-agency-month", "overage_credits": 21 });
    assert_eq!(owner.patch(PATH, both).await.problem(), (422, "no_such_overage".into()));

    assert_eq!(at_stripe(&app, "invoice").len(), invoices);
    assert_eq!(owner.get(PATH).await.ok()["plan"], "pro");
}

#[tokio::test]
async fn who_closes_the_account_is_asked_for_no_more_overage() {
    let app = start().await;
    let owner = subscriber(&app, "plan-pro-month").await;
    wish(&owner, 10).await.ok();
    assert_eq!(call(&owner, 8).await, 8);
    let close = "insert into billing_closures values ($1, $2, $2)";
    sqlx::query(close)
        .bind(owner.org())
        .bind(app.clock.now())
        .execute(app.db.pool())
        .await
        .unwrap();

    report(&app).await;

    assert_eq!(metered(&app), Vec::<i64>::new());
}

#[tokio::test]
async fn the_cap_can_be_raised_and_lowered_and_what_was_used_stays_used() {
    let app = start().await;
    let owner = subscriber(&app, "plan-pro-month").await;
    wish(&owner, 2).await.ok();
    assert_eq!(call(&owner, 8).await, 7);
    wish(&owner, 5).await.ok();
    assert_eq!(call(&owner, 2).await, 2);
    wish(&owner, 0).await.ok();
    assert_eq!(call(&owner, 1).await, 0);
    wish(&owner, 5).await.ok();
    assert_eq!(call(&owner, 2).await, 1, "five in all");
    report(&app).await;
    assert_eq!(metered(&app).iter().sum::<i64>(), 5);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn overage_counts_once_although_stripes_answers_are_lost() {
    let app = start().await;
    let (owner, operator) = (subscriber(&app, "plan-pro-month").await, app.operator().await);
    wish(&owner, 10).await.ok();
    call(&owner, 8).await;
    let path = "/v1/billing/meter_events".to_owned();
    app.simulators.stripe.fail(Fault { path, times: 40, trouble: Trouble::DropAnswer });
    report(&app).await;
    assert_eq!(metered(&app), [3], "Stripe counted it, but we do not know");
    let waiting = "select count(*) from overage_reports where sent_at is null";
    assert_eq!(count(&app, waiting).await, 1);
    app.simulators.stripe.heal();
    app.advance(TimeDelta::minutes(1));
    report(&app).await;
    assert_eq!((metered(&app), count(&app, waiting).await), (vec![3], 0));

    // And if it is silent for longer than it remembers what it was told.
    let owner = signed_in_again(&owner).await;
    call(&owner, 1).await;
    let path = "/v1/billing/meter_events".to_owned();
    app.simulators.stripe.fail(Fault { path, times: 40, trouble: Trouble::DropAnswer });
    report(&app).await;
    assert_eq!(metered(&app), [3, 1]);
    app.simulators.stripe.heal();
    app.advance(TimeDelta::hours(30));
    report(&app).await;
    assert_eq!((metered(&app), count(&app, waiting).await), (vec![3, 1], 0));
    let found = operator.post("/admin/v1/billing/reconciliations", json!({})).await;
    let found = match found.status.as_u16() {
        401 => app.operator().await.post("/admin/v1/billing/reconciliations", json!({})).await,
        _ => found,
    };
    assert_eq!(found.ok()["findings"], json!([]));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn reports_that_never_arrived_are_sent_and_a_meter_that_differs_is_found() {
    let app = start().await;
    let owner = subscriber(&app, "plan-pro-month").await;
    wish(&owner, 10).await.ok();
    call(&owner, 7).await;
    let path = "/v1/billing/meter_events".to_owned();
    app.simulators.stripe.fail(Fault { path, times: 40, trouble: Trouble::Reset });
    report(&app).await;
    app.simulators.stripe.heal();
    assert_eq!(metered(&app), [0; 0]);
    app.advance(TimeDelta::hours(30));
    report(&app).await;
    assert_eq!(metered(&app), [2]);

    let customer = at_stripe(&app, "customer")[0]["id"].as_str().unwrap().to_owned();
    let form = [
        ("event_name", "slipway_overage_credits"),
        ("payload[stripe_customer_id]", customer.as_str()),
        ("payload[value]", "3"),
    ];
    at_dashboard(&app, Method::POST, "billing/meter_events", &form).await;
    app.advance(TimeDelta::minutes(10));
    let operator = app.operator().await;
    let report = operator.post("/admin/v1/billing/reconciliations", json!({})).await.ok();
    assert_eq!(report["findings"][0]["kind"], "overage_differs", "{report}");
    assert_eq!(report["findings"].as_array().unwrap().len(), 1, "{report}");
}

#[tokio::test]
async fn what_was_used_within_a_minute_is_counted_once_each_whatever_got_lost_of_it() {
    let app = start().await;
    let owner = subscriber(&app, "plan-pro-month").await;
    wish(&owner, 10).await.ok();
    app.advance(TimeDelta::minutes(5));
    let path = || "/v1/billing/meter_events".to_owned();
    app.simulators.stripe.fail(Fault {
        path: path(),
        times: 2,
        trouble: Trouble::Status { status: 400 },
    });
    app.simulators.stripe.fail(Fault { path: path(), times: 40, trouble: Trouble::DropAnswer });
    assert_eq!(call(&owner, 7).await, 7);
    report(&app).await;
    assert_eq!(metered(&app), [0; 0], "two credits, which Stripe refuses");
    assert_eq!(call(&owner, 3).await, 3);
    report(&app).await;
    assert_eq!(metered(&app), [3], "three more, which it counts, but nobody hears of it");
    assert_eq!(count(&app, "select count(*) from overage_reports where sent_at is null").await, 2);

    app.simulators.stripe.heal();
    app.advance(TimeDelta::hours(13));
    report(&app).await;

    assert_eq!(metered(&app), [3, 2]);
    assert_eq!(count(&app, "select count(*) from overage_reports where sent_at is null").await, 0);
}

#[tokio::test]
async fn who_does_not_pay_gets_no_overage() {
    let app = start().await;
    let owner = subscriber(&app, "plan-pro-month").await;
    wish(&owner, 10).await.ok();
    let subscription = at_stripe(&app, "subscription")[0]["id"].as_str().unwrap().to_owned();
    app.simulators.stripe.advance(&subscription, Card::Declined).unwrap();
    settle(&app).await;
    assert_eq!(owner.get(PATH).await.ok()["status"], "past_due");
    let quotas = owner.get("/v1/quotas").await.ok();
    assert_eq!(quotas["credits"]["overage"], 0);
    assert_eq!(wish(&owner, 5).await.problem(), (409, "subscription_not_changeable".into()));
    let customer = at_stripe(&app, "customer")[0]["id"].as_str().unwrap().to_owned();
    app.simulators.stripe.set_card(&customer, Card::Accepted).unwrap();
    live(&app, TimeDelta::days(4)).await;
    let owner = signed_in_again(&owner).await;
    assert_eq!(owner.get("/v1/quotas").await.ok()["credits"]["overage"], 10, "paid at last");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn who_leaves_pays_for_what_was_used() {
    let app = start().await;
    let owner = subscriber(&app, "plan-pro-month").await;
    wish(&owner, 10).await.ok();
    call(&owner, 7).await;
    app.quotas.settled().await;
    owner.delete(PATH).await.ok();
    let log = owner.get("/v1/audit-log?action=subscription.cancelled").await.ok();
    assert_eq!(log["items"].as_array().unwrap().len(), 1, "{log}");
    settle(&app).await;
    assert_eq!(billed(&app), [50]);
    assert_eq!(call(&owner, 1).await, 0, "the plan's credits are spent, and there is no overage");
    let payments = owner.get("/v1/billing/payments").await.ok();
    assert_eq!(payments["items"][0]["amount_cents"], 50);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_plan_without_overage_begins_when_what_was_used_is_billed() {
    let app = start().await;
    let owner = subscriber(&app, "plan-pro-month").await;
    wish(&owner, 10).await.ok();
    call(&owner, 7).await;
    report(&app).await;
    let agency = owner.patch(PATH, json!({ "item": "plan-agency-month" })).await.ok();
    assert_eq!(
        (&agency["plan"], &agency["overage"]["most_credits"]),
        (&json!("agency"), &json!(20))
    );
    assert_eq!(agency["overage"]["used_credits"], 2, "goes on");
    let year = owner.patch(PATH, json!({ "item": "plan-agency-year" })).await.ok();
    assert_eq!((&year["plan"], &year["interval"]), (&json!("agency"), &json!("month")));
    assert_eq!(year["next"]["interval"], "year");
    assert_eq!(wish(&owner, 0).await.ok()["next"]["interval"], "year", "stays planned");

    until_the_period_ends(&app, &owner).await;
    assert_eq!(billed(&app), [50]);
    let year = signed_in_again(&owner).await.get(PATH).await.ok();
    assert_eq!((&year["interval"], &year["overage"]), (&json!("year"), &Value::Null));
    app.assert_books_balance().await;
}
