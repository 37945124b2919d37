//! Upgrades, downgrades and seats.

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use simulators::stripe::{Card, Delivery, Fault, Trouble};
use testing::{Client, Reply, TestApp};

use crate::support::{
    at_dashboard, at_stripe, bought, colleague, count, credits, live, plan, settle,
    signed_in_again, subscription, upkeep,
};

const PATH: &str = "/v1/billing/subscription";

async fn change(client: &Client, input: Value) -> Reply {
    client.patch(PATH, input).await
}

fn to(item: &str) -> Value {
    json!({ "item": item })
}

async fn seats(app: &TestApp, client: &Client) -> i64 {
    sqlx::query_scalar("select seats from entitlements where org_id = $1")
        .bind(client.org().uuid())
        .fetch_one(app.db.pool())
        .await
        .unwrap()
}

fn half_a_period(client: &Value) -> TimeDelta {
    let time = |field: &str| -> chrono::DateTime<chrono::Utc> {
        client[field].as_str().unwrap().parse().unwrap()
    };
    (time("current_period_end") - time("current_period_start")) / 2
}

#[tokio::test]
async fn an_upgrade_begins_now_is_charged_in_proportion_and_gives_the_difference_in_credits() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-month").await;
    let half = half_a_period(&subscription(&owner).await);
    app.advance(half);
    let owner = signed_in_again(&owner).await;
    let preview = owner.post(&format!("{PATH}/previews"), to("plan-pro-month")).await.ok();
    assert_eq!((&preview["when"], &preview["amount_due_cents"]), (&json!("now"), &json!(1_500)));
    assert_eq!(preview["lines"].as_array().unwrap().len(), 2, "{preview}");
    assert_eq!(plan(&owner).await, "creator", "a preview changes nothing");

    let changed = change(&owner, to("plan-pro-month")).await.ok();
    assert_eq!((&changed["plan"], &changed["status"]), (&json!("pro"), &json!("active")));
    settle(&app).await;
    assert_eq!(plan(&owner).await, "pro");
    assert_eq!(credits(&owner).await, 100 + 200, "half of the difference");
    let payments = owner.get("/v1/billing/payments").await.ok();
    assert_eq!(payments["items"][0]["amount_cents"], 1_500);
    let log = owner.get("/v1/audit-log?action=subscription.changed").await.ok();
    assert_eq!(log["items"][0]["after"]["item"], "plan-pro-month", "{log}");

    for event in app.simulators.stripe.events() {
        app.simulators.stripe.redeliver(event["id"].as_str().unwrap(), 2, true).await.unwrap();
    }
    app.run_jobs().await;
    assert_eq!(credits(&owner).await, 300);
    change(&owner, to("plan-pro-month")).await.ok();
    settle(&app).await;
    assert_eq!(credits(&owner).await, 300, "what is so already changes nothing");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn an_upgrade_whose_payment_is_declined_changes_nothing() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-month").await;
    let customer = at_stripe(&app, "customer")[0]["id"].as_str().unwrap().to_owned();
    app.simulators.stripe.set_card(&customer, Card::Declined).unwrap();
    let declined = change(&owner, to("plan-agency-month")).await;
    assert_eq!(declined.problem(), (402, "payment_declined".into()));
    settle(&app).await;
    assert_eq!(plan(&owner).await, "creator");
    assert_eq!(subscription(&owner).await["plan"], "creator");
    assert_eq!(credits(&owner).await, 100);

    app.simulators.stripe.set_card(&customer, Card::Accepted).unwrap();
    change(&owner, to("plan-agency-month")).await.ok();
    assert_eq!(plan(&owner).await, "agency");
}

#[tokio::test]
async fn a_downgrade_begins_when_the_paid_period_ends() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-agency-month").await;
    let preview = owner.post(&format!("{PATH}/previews"), to("plan-creator-month")).await.ok();
    let end = subscription(&owner).await["current_period_end"].clone();
    assert_eq!((&preview["when"], &preview["at"]), (&json!("period_end"), &end));
    assert_eq!(preview["amount_due_cents"], 1_900);

    let changed = change(&owner, to("plan-creator-month")).await.ok();
    assert_eq!((&changed["plan"], &changed["next"]["plan"]), (&json!("agency"), &json!("creator")));
    assert_eq!(changed["next"]["at"], end);
    settle(&app).await;
    assert_eq!(plan(&owner).await, "agency", "it is paid for");
    assert_eq!(seats(&app, &owner).await, 1, "nobody joins who would have no seat then");

    live(&app, TimeDelta::days(32)).await;
    let shown = subscription(&owner).await;
    assert_eq!((&shown["plan"], &shown["next"]), (&json!("creator"), &Value::Null), "{shown}");
    let owner = signed_in_again(&owner).await;
    assert_eq!((plan(&owner).await.as_str(), credits(&owner).await), ("creator", 100));
    let payments = owner.get("/v1/billing/payments").await.ok();
    assert_eq!(payments["items"][0]["amount_cents"], 1_900);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_downgrade_that_has_not_begun_can_be_taken_back() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-agency-month").await;
    change(&owner, to("plan-pro-year")).await.ok();
    assert_eq!(subscription(&owner).await["next"]["interval"], "year");
    let stays = change(&owner, json!({ "cancel_at_period_end": false })).await.ok();
    assert!(stays["next"].is_null(), "{stays}");
    assert_eq!(seats(&app, &owner).await, 25);
    change(&owner, to("plan-pro-month")).await.ok();
    let up = change(&owner, to("plan-agency-year")).await.ok();
    assert!(up["next"].is_null() && up["interval"] == "year", "{up}");
}

#[tokio::test]
async fn a_downgrade_below_used_seats_is_refused() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-pro-month").await;
    colleague(&app, &owner, "member").await;
    for path in [PATH.to_owned(), format!("{PATH}/previews")] {
        let method = if path == PATH { reqwest::Method::PATCH } else { reqwest::Method::POST };
        let request = owner.request(method, &path).json(&to("plan-creator-month"));
        let refused = Reply::read(request.send().await.unwrap()).await;
        assert_eq!(refused.problem(), (409, "seats_in_use".into()), "{path}");
    }
    assert!(subscription(&owner).await["next"].is_null());
}

#[tokio::test]
async fn seats_are_bought_at_once_given_up_with_the_period_and_counted_at_stripe() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-pro-month").await;
    let more = change(&owner, json!({ "extra_seats": 2 })).await.ok();
    assert_eq!(more["extra_seats"], 2);
    assert_eq!(seats(&app, &owner).await, 7);
    let quantities = |app: &TestApp| -> Vec<i64> {
        let subscription = at_stripe(app, "subscription").remove(0);
        let items = subscription["items"]["data"].as_array().unwrap().clone();
        items.iter().map(|item| item["quantity"].as_i64().unwrap()).collect()
    };
    assert_eq!(quantities(&app), [1, 2]);
    for _ in 0..5 {
        colleague(&app, &owner, "member").await;
    }
    let fewer = change(&owner, json!({ "extra_seats": 0 })).await;
    assert_eq!(fewer.problem(), (409, "seats_in_use".into()));
    let fewer = change(&owner, json!({ "extra_seats": 1 })).await.ok();
    assert_eq!((&fewer["extra_seats"], &fewer["next"]["extra_seats"]), (&json!(2), &json!(1)));
    assert_eq!(seats(&app, &owner).await, 6, "a seat that goes is given to nobody new");
    live(&app, TimeDelta::days(32)).await;
    assert_eq!(quantities(&app), [1, 1]);
    assert_eq!(seats(&app, &owner).await, 6);

    let owner = signed_in_again(&owner).await;
    let none = change(&owner, json!({ "item": "plan-creator-month", "extra_seats": 1 })).await;
    assert_eq!(none.problem(), (422, "no_such_seats".into()));
    app.assert_books_balance().await;
}

/// Removes people from the owner's org.
async fn remove(owner: &Client, people: &[Client]) {
    for person in people {
        owner.delete(&format!("/v1/members/{}", person.user())).await.ok_text();
    }
}

fn seats_at_stripe(app: &TestApp) -> i64 {
    let subscription = at_stripe(app, "subscription").remove(0);
    let items = subscription["items"]["data"].as_array().unwrap().clone();
    items.iter().skip(1).map(|item| item["quantity"].as_i64().unwrap()).sum()
}

#[tokio::test]
async fn seats_that_nobody_uses_when_the_period_ends_are_not_paid_for_again() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-pro-month").await;
    change(&owner, json!({ "extra_seats": 3 })).await.ok();
    let mut people = Vec::new();
    for _ in 0..6 {
        people.push(colleague(&app, &owner, "member").await);
    }
    remove(&owner, &people[..2]).await;
    upkeep(&app).await;
    assert_eq!(seats(&app, &owner).await, 8, "somebody else may have the seat");
    people.push(colleague(&app, &owner, "member").await);
    let payments = count(&app, "select count(*) from payments").await;

    let end: chrono::DateTime<chrono::Utc> =
        subscription(&owner).await["current_period_end"].as_str().unwrap().parse().unwrap();
    live(&app, end - TimeDelta::hours(20) - app.clock.now()).await;
    let owner = signed_in_again(&owner).await;
    let it = subscription(&owner).await;
    assert_eq!((&it["extra_seats"], &it["next"]["extra_seats"]), (&json!(3), &json!(1)), "{it}");
    assert_eq!(seats(&app, &owner).await, 6, "a seat that goes is given to nobody new");
    let told = "select count(*) from emails where subject = 'Seats that nobody uses end'";
    assert_eq!(count(&app, told).await, 1);
    upkeep(&app).await;
    assert_eq!(count(&app, told).await, 1);
    live(&app, TimeDelta::days(1)).await;
    assert_eq!((seats_at_stripe(&app), seats(&app, &owner).await), (1, 6));
    assert_eq!(count(&app, "select count(*) from payments").await, payments + 1);

    let owner = signed_in_again(&owner).await;
    remove(&owner, &people[2..]).await;
    live(&app, TimeDelta::days(32)).await;
    assert_eq!((seats_at_stripe(&app), seats(&app, &owner).await), (0, 5));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn whoever_keeps_seats_that_nobody_uses_yet_says_so_and_keeps_them() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-pro-month").await;
    change(&owner, json!({ "extra_seats": 2 })).await.ok();
    let end: chrono::DateTime<chrono::Utc> =
        subscription(&owner).await["current_period_end"].as_str().unwrap().parse().unwrap();
    live(&app, end - TimeDelta::hours(20) - app.clock.now()).await;
    assert_eq!(seats(&app, &owner).await, 5);

    let owner = signed_in_again(&owner).await;
    let kept = change(&owner, json!({ "extra_seats": 2 })).await.ok();
    assert_eq!((&kept["extra_seats"], &kept["next"]), (&json!(2), &Value::Null), "{kept}");
    live(&app, TimeDelta::days(1)).await;
    assert_eq!((seats_at_stripe(&app), seats(&app, &owner).await), (2, 7));
}

#[tokio::test]
async fn changes_at_once_are_made_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-month").await;
    let replies = join_all((0..4).map(|_| change(&owner, to("plan-pro-month")))).await;
    for reply in replies {
        if !reply.status.is_success() {
            assert_eq!(reply.problem(), (409, "change_in_progress".into()));
        }
    }
    change(&owner, to("plan-pro-month")).await.ok();
    settle(&app).await;
    assert_eq!(plan(&owner).await, "pro");
    assert_eq!(count(&app, "select count(*) from payments").await, 2);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_asked_for_again_with_the_same_key() {
    let app = TestApp::start_with(|settings| settings.billing.stripe_timeout_ms = 1_500).await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-month").await;
    let id = at_stripe(&app, "subscription")[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/subscriptions/{id}");
    // The subscription is read, then changed; the change's answer is lost, and Stripe is gone.
    app.simulators.stripe.fail(Fault {
        path: path.clone(),
        times: 8,
        trouble: Trouble::DropAnswer,
    });
    let failed = change(&owner, to("plan-pro-month")).await;
    assert_eq!(failed.problem(), (503, "payments_unavailable".into()));
    app.simulators.stripe.heal();
    change(&owner, to("plan-pro-month")).await.ok();
    settle(&app).await;
    assert_eq!(plan(&owner).await, "pro");
    assert_eq!(count(&app, "select count(*) from payments").await, 2);
    assert_eq!(count(&app, "select count(*) from subscription_changes").await, 1);
}

#[tokio::test]
async fn only_those_who_pay_change_the_subscription() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-agency-month").await;
    for (role, allowed) in
        [("admin", true), ("billing", true), ("member", false), ("viewer", false)]
    {
        let client = colleague(&app, &owner, role).await;
        let reply = change(&client, json!({ "extra_seats": 1 })).await;
        let expected = if allowed { 200 } else { 403 };
        assert_eq!(reply.status, expected, "{role}");
        assert_eq!(client.get(PATH).await.status, 200, "{role} may look");
    }
    let nothing = change(&owner, json!({})).await;
    assert_eq!(nothing.problem(), (422, "nothing_to_change".into()));
    let stranger = app.owner().await;
    assert_eq!(
        change(&stranger, to("plan-pro-month")).await.problem(),
        (404, "not_subscribed".into())
    );
}

#[tokio::test]
async fn an_upgrade_that_is_heard_of_late_gives_the_credits_of_the_moment_it_was_billed() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-month").await;
    let half = half_a_period(&subscription(&owner).await);
    app.advance(half);
    app.simulators.stripe.deliver_as(Delivery { drop: true, ..Delivery::default() });
    let before = at_stripe(&app, "subscription").remove(0);
    let item = before["items"]["data"][0]["id"].as_str().unwrap();
    bought(&app, &app.owner().await, "plan-pro-month").await;
    let prices = at_stripe(&app, "price");
    let price = prices.iter().find(|price| price["lookup_key"] == "plan-pro-month").unwrap();
    let form = [
        ("items[0][id]", item),
        ("items[0][price]", price["id"].as_str().unwrap()),
        ("proration_behavior", "always_invoice"),
    ];
    let path = format!("subscriptions/{}", before["id"].as_str().unwrap());
    at_dashboard(&app, reqwest::Method::POST, &path, &form).await;

    app.advance(TimeDelta::days(5));
    let operator = app.operator().await;
    operator.post("/admin/v1/billing/reconciliations", json!({})).await.ok();
    let owner = signed_in_again(&owner).await;
    assert_eq!(plan(&owner).await, "pro");
    assert_eq!(
        credits(&owner).await,
        300,
        "half of the difference, not what is left five days later"
    );
    app.assert_books_balance().await;
}

#[tokio::test]
async fn months_on_a_plan_without_credits_give_none_after_an_upgrade() {
    let app = TestApp::start().await;
    let catalogue = include_str!("../../catalogue.toml");
    let catalogue = catalogue.replace("credits_per_month = 100\n", "credits_per_month = 0\n");
    app.billing.sync_catalogue(Some(&catalogue), false).await.unwrap();
    app.run_jobs().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-year").await;
    app.advance(TimeDelta::days(165));
    upkeep(&app).await;
    let owner = signed_in_again(&owner).await;

    change(&owner, to("plan-pro-year")).await.ok();
    settle(&app).await;

    let given = credits(&owner).await;
    assert!((1..500).contains(&given), "a part of one month, not {given}");
}
