//! What every state of a subscription gives, over whole billing months.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use simulators::stripe::{Card, Delivery, Dunning};
use testing::{Client, TestApp};

use crate::support::{
    at_dashboard, at_stripe, bought, buy, count, credits, live, live_until, plan, settle,
    signed_in_again, subscription, upkeep,
};

/// An app at a time, to live through months of it.
async fn start_at(time: &str) -> TestApp {
    let app = TestApp::start().await;
    let time: chrono::DateTime<chrono::Utc> = time.parse().unwrap();
    app.advance(time - app.clock.now());
    app
}

fn customer(app: &TestApp) -> String {
    at_stripe(app, "customer")[0]["id"].as_str().unwrap().to_owned()
}

/// Plan in force, Stripe's status, what that gives.
async fn standing(client: &Client) -> (String, String, String) {
    let shown = subscription(client).await;
    let text = |field: &str| shown[field].as_str().unwrap_or_default().to_owned();
    (plan(&signed_in_again(client).await).await, text("status"), text("access"))
}

fn is(plan: &str, status: &str, access: &str) -> (String, String, String) {
    (plan.to_owned(), status.to_owned(), access.to_owned())
}

async fn mails(app: &TestApp, subject: &str) -> i64 {
    sqlx::query_scalar("select count(*) from emails where subject like $1")
        .bind(format!("{subject}%"))
        .fetch_one(app.db.pool())
        .await
        .unwrap()
}

async fn with_trials(app: &TestApp, days: i64) {
    let operator = app.operator().await;
    let mut catalogue = operator.get("/admin/v1/catalogue").await.ok();
    catalogue["plans"][2]["trial_days"] = days.into();
    let catalogue = json!({ "plans": catalogue["plans"], "packs": catalogue["packs"] });
    operator.put("/admin/v1/catalogue", catalogue).await.ok();
    app.run_jobs().await;
}

#[tokio::test]
async fn a_trial_gives_the_plan_without_credits_once_and_becomes_paid_when_it_ends() {
    let app = start_at("2027-01-31T12:00:00Z").await;
    with_trials(&app, 14).await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-pro-month").await;
    assert_eq!(standing(&owner).await, is("pro", "trialing", "full"));
    assert_eq!(credits(&owner).await, 0);
    assert_eq!(count(&app, "select count(*) from payments").await, 0);

    live(&app, TimeDelta::days(15)).await;
    assert_eq!(standing(&owner).await, is("pro", "active", "full"));
    let owner = signed_in_again(&owner).await;
    assert_eq!(credits(&owner).await, 500);
    assert_eq!(owner.get("/v1/billing/payments").await.ok()["items"][0]["amount_cents"], 4_900);

    owner.delete("/v1/billing/subscription").await.ok();
    bought(&app, &owner, "plan-pro-month").await;
    assert_eq!(standing(&owner).await, is("pro", "active", "full"), "a second trial was given");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn months_from_the_31st_on_are_renewed_and_credited_once_each() {
    let app = start_at("2028-01-31T12:00:00Z").await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-month").await;
    let mut ends = Vec::new();
    for month in ["2028-02-29", "2028-03-31", "2028-04-30", "2028-05-31"] {
        ends.push(subscription(&owner).await["current_period_end"].clone());
        live_until(&app, &format!("{month}T18:00:00Z")).await;
        assert_eq!(credits(&signed_in_again(&owner).await).await, 100, "{month}");
    }
    let expected = ["2028-02-29", "2028-03-31", "2028-04-30", "2028-05-31"];
    assert_eq!(ends, expected.map(|day| json!(format!("{day}T12:00:00Z"))));
    assert_eq!(count(&app, "select count(*) from grants").await, 5);
    assert_eq!(count(&app, "select count(*) from payments").await, 5);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_year_gives_credits_each_month_across_leap_day_and_daylight_saving() {
    let app = start_at("2027-10-31T12:00:00Z").await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-year").await;
    for month in ["2027-11-30", "2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31"] {
        live_until(&app, &format!("{month}T06:00:00Z")).await;
        let before = count(&app, "select count(*) from grants").await;
        live_until(&app, &format!("{month}T18:00:00Z")).await;
        assert_eq!(count(&app, "select count(*) from grants").await, before + 1, "{month}");
        let owner = signed_in_again(&owner).await;
        assert_eq!(credits(&owner).await, 100, "what is left of a month lapses with it");
    }
    upkeep(&app).await;
    assert_eq!(count(&app, "select count(*) from grants").await, 6);
    assert_eq!(count(&app, "select count(*) from payments").await, 1);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn an_overdue_bill_keeps_the_plan_in_grace_reminds_and_then_restricts_until_it_is_paid() {
    let app = start_at("2027-03-10T12:00:00Z").await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-month").await;
    bought(&app, &owner, "pack-50").await;
    let url = format!("{}/told", app.simulators.sink.url());
    let hook = json!({ "url": url, "events": ["invoice.payment_failed"] });
    owner.post("/v1/webhook-endpoints", hook).await.ok();
    app.simulators.stripe.after_last_attempt(Dunning::PastDue);
    app.simulators.stripe.set_card(&customer(&app), Card::Declined).unwrap();
    live_until(&app, "2027-04-10T18:00:00Z").await;
    assert_eq!(app.simulators.sink.received("/told").len(), 1, "the org's programs are told once");
    assert_eq!(standing(&owner).await, is("creator", "past_due", "grace"));
    let shown = subscription(&owner).await;
    assert_eq!(shown["grace_until"], "2027-04-17T12:00:00Z");
    assert_eq!(credits(&signed_in_again(&owner).await).await, 50, "nothing for what is not paid");
    assert_eq!(mails(&app, "A payment for your plan creator failed").await, 1);

    live_until(&app, "2027-04-17T06:00:00Z").await;
    assert_eq!(standing(&owner).await, is("creator", "past_due", "grace"));
    assert_eq!(mails(&app, "A payment for your plan creator failed").await, 3);
    live_until(&app, "2027-04-17T18:00:00Z").await;
    assert_eq!(standing(&owner).await, is("free", "past_due", "restricted"));
    assert_eq!(mails(&app, "Your plan creator is no longer in force").await, 1);
    let owner = signed_in_again(&owner).await;
    assert_eq!(credits(&owner).await, 50, "bought credits stay");
    let another = buy(&owner, "plan-pro-month").await;
    assert_eq!(another.problem(), (409, "already_subscribed".into()));
    let change = owner.patch("/v1/billing/subscription", json!({ "item": "plan-pro-month" })).await;
    assert_eq!(change.problem(), (409, "subscription_not_changeable".into()));

    app.simulators.stripe.set_card(&customer(&app), Card::Accepted).unwrap();
    live(&app, TimeDelta::days(9)).await;
    assert_eq!(standing(&owner).await, is("creator", "active", "full"));
    assert_eq!(credits(&signed_in_again(&owner).await).await, 150);
    let shown = subscription(&owner).await;
    assert!(shown["grace_until"].is_null() && shown["action"].is_null(), "{shown}");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn when_stripe_gives_up_collecting_the_plan_ends_or_is_restricted_as_it_is_set_there() {
    for (dunning, expected, another) in [
        (Dunning::Unpaid, is("free", "unpaid", "restricted"), 409),
        (Dunning::Cancel, is("free", "canceled", "free"), 201),
    ] {
        let app = start_at("2027-03-10T12:00:00Z").await;
        let owner = app.owner().await;
        bought(&app, &owner, "plan-creator-month").await;
        app.simulators.stripe.after_last_attempt(dunning);
        app.simulators.stripe.set_card(&customer(&app), Card::Declined).unwrap();
        live(&app, TimeDelta::days(50)).await;
        assert_eq!(standing(&owner).await, expected);
        let owner = signed_in_again(&owner).await;
        assert_eq!(buy(&owner, "plan-pro-month").await.status, another, "{dunning:?}");
    }
}

#[tokio::test]
async fn a_subscription_cancelled_for_the_end_of_its_period_is_in_force_until_then() {
    let app = start_at("2027-03-10T12:00:00Z").await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-month").await;
    let end = |at_end: bool| json!({ "cancel_at_period_end": at_end });
    let change = |input: Value| owner.patch("/v1/billing/subscription", input);
    assert_eq!(change(end(true)).await.ok()["cancel_at_period_end"], true);
    assert_eq!(change(end(false)).await.ok()["cancel_at_period_end"], false, "it was resumed");
    assert_eq!(change(end(true)).await.ok()["status"], "active");
    live_until(&app, "2027-04-10T06:00:00Z").await;
    assert_eq!(standing(&owner).await, is("creator", "active", "full"));
    live_until(&app, "2027-04-10T18:00:00Z").await;
    assert_eq!(standing(&owner).await, is("free", "canceled", "free"));
    assert_eq!(count(&app, "select count(*) from payments").await, 1);
    let gone = signed_in_again(&owner).await.patch("/v1/billing/subscription", end(true)).await;
    assert_eq!(gone.problem(), (404, "not_subscribed".into()));
}

#[tokio::test]
async fn a_plan_that_operators_give_is_in_force_beside_what_is_paid_until_it_ends() {
    let app = start_at("2027-03-10T12:00:00Z").await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    bought(&app, &owner, "plan-creator-month").await;
    let path = format!("/admin/v1/orgs/{}/plan-grant", owner.org());
    let until = app.clock.now() + TimeDelta::days(3);
    let grant = json!({ "plan": "agency", "until": until, "reason": "a pilot" });
    let given = operator.put(&path, grant.clone()).await.ok();
    assert_eq!(given["plan"], "agency");
    assert_eq!(plan(&owner).await, "agency");
    let mut lesser = grant.clone();
    lesser["plan"] = "free".into();
    operator.put(&path, lesser).await.ok();
    assert_eq!(plan(&owner).await, "creator", "the better of both");
    for (field, value) in
        [("plan", json!("gold")), ("reason", json!(" ")), ("until", json!("2020-01-01T00:00:00Z"))]
    {
        let mut wrong = grant.clone();
        wrong[field] = value;
        assert_eq!(operator.put(&path, wrong).await.status, 422, "{field}");
    }
    operator.put(&path, grant.clone()).await.ok();
    let audited = "select count(*) from audit_events where action = 'plan.granted'";
    assert_eq!(count(&app, audited).await, 3);
    operator.delete(&path).await.ok();
    assert_eq!(plan(&owner).await, "creator");
    let withdrawn = "select count(*) from audit_events where action = 'plan.withdrawn'";
    assert_eq!(count(&app, withdrawn).await, 1);
    operator.put(&path, grant).await.ok();

    live(&app, TimeDelta::days(4)).await;
    assert_eq!(standing(&owner).await, is("creator", "active", "full"));
    assert_eq!(count(&app, "select count(*) from plan_grants").await, 0);
}

#[tokio::test]
async fn included_generations_begin_anew_with_each_day_and_month() {
    let app = start_at("2027-01-31T12:00:00Z").await;
    let owner = app.owner().await;
    let used = async |owner: &Client| -> Vec<i64> {
        let quotas = owner.get("/v1/quotas").await.ok();
        let included = quotas["included"].as_array().cloned().unwrap_or_default();
        included.iter().map(|it| it["used"].as_i64().unwrap_or_default()).collect()
    };
    let chat = json!({ "model": "gpt-4o-mini", "max_tokens": 5,
                       "messages": [{ "role": "user", "content": "Hello" }] });
    owner.post("/v1/chat/completions", chat).await.ok();
    assert!(used(&owner).await.iter().all(|used| *used > 0));
    app.advance(TimeDelta::days(1));
    let owner = signed_in_again(&owner).await;
    assert!(used(&owner).await.iter().all(|used| *used == 0), "the first of the month");
}

#[tokio::test]
async fn people_are_told_once_that_a_trial_ends_whether_stripes_event_comes_or_not() {
    for lost in [false, true] {
        let app = start_at("2027-03-10T12:00:00Z").await;
        with_trials(&app, 14).await;
        let owner = app.owner().await;
        bought(&app, &owner, "plan-pro-month").await;
        app.simulators.stripe.deliver_as(Delivery { drop: lost, ..Delivery::default() });
        live_until(&app, "2027-03-21T06:00:00Z").await;
        assert_eq!(mails(&app, "Your trial of Pro ends soon").await, 0);
        live_until(&app, "2027-03-22T12:00:00Z").await;
        assert_eq!(mails(&app, "Your trial of Pro ends soon").await, 1, "lost: {lost}");
        let told = app.simulators.mailbox.messages_to(&owner.email);
        let told = told.iter().filter_map(|mail| mail.text.as_deref());
        let told = told.into_iter().any(|text| text.contains("costs 49.00 USD each month"));
        assert!(told, "what it costs then");
        live_until(&app, "2027-03-26T12:00:00Z").await;
        assert_eq!(mails(&app, "Your trial of Pro ends soon").await, 1, "once");
    }
}

#[tokio::test]
async fn a_paid_year_gives_the_credits_of_months_in_which_nobody_looked() {
    let app = start_at("2027-01-31T12:00:00Z").await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-year").await;
    app.advance(TimeDelta::days(75));
    app.simulators.stripe.live_until(app.clock.now().timestamp()).unwrap();
    upkeep(&app).await;
    upkeep(&app).await;
    assert_eq!(count(&app, "select count(*) from grants").await, 3);
    let owner = signed_in_again(&owner).await;
    assert_eq!(
        credits(&owner).await,
        200,
        "of March, which runs, and of February, which nobody saw"
    );
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_trial_that_ends_without_a_card_is_paused_until_there_is_one() {
    let app = start_at("2027-03-10T12:00:00Z").await;
    with_trials(&app, 14).await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-pro-month").await;
    let id = at_stripe(&app, "subscription")[0]["id"].as_str().unwrap().to_owned();
    let path = format!("subscriptions/{id}");
    let pause = [("trial_settings[end_behavior][missing_payment_method]", "pause")];
    at_dashboard(&app, Method::POST, &path, &pause).await;
    for card in at_stripe(&app, "payment_method") {
        let path = format!("payment_methods/{}/detach", card["id"].as_str().unwrap());
        at_dashboard(&app, Method::POST, &path, &[]).await;
    }

    live(&app, TimeDelta::days(15)).await;
    assert_eq!(standing(&owner).await, is("free", "paused", "restricted"));
    let owner = signed_in_again(&owner).await;
    assert_eq!(credits(&owner).await, 0);
    let another = buy(&owner, "plan-creator-month").await;
    assert_eq!(another.problem(), (409, "already_subscribed".into()));
    let change = owner.patch("/v1/billing/subscription", json!({ "extra_seats": 1 })).await;
    assert_eq!(change.problem(), (409, "subscription_not_changeable".into()));

    app.simulators.stripe.set_card(&customer(&app), Card::Accepted).unwrap();
    at_dashboard(&app, Method::POST, &format!("{path}/resume"), &[]).await;
    settle(&app).await;
    assert_eq!(standing(&owner).await, is("pro", "active", "full"));
    assert_eq!(credits(&signed_in_again(&owner).await).await, 500);
    app.assert_books_balance().await;
}
