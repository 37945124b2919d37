use serde_json::Value;

use crate::support::{Shop, id, text};

const START: i64 = 1_767_225_600;
const DAY: i64 = 86_400;

/// A subscription of 49 dollars that becomes one of 19 with its next period.
async fn downgrading(shop: &Shop) -> (Value, String) {
    shop.stripe.set_now(Some(START));
    let (small, large) = (shop.price("1900", "month").await, shop.price("4900", "month").await);
    let subscription = shop.subscription(&large).await;
    let item = &subscription["items"]["data"][0];
    let (start, end) =
        (item["current_period_start"].to_string(), item["current_period_end"].to_string());
    let from = id(&subscription);
    let made =
        shop.post("/v1/subscription_schedules", &[("from_subscription", from.as_str())]).await;
    let form = [
        ("end_behavior", "release"),
        ("proration_behavior", "none"),
        ("phases[0][items][0][price]", large.as_str()),
        ("phases[0][start_date]", start.as_str()),
        ("phases[0][end_date]", end.as_str()),
        ("phases[1][items][0][price]", small.as_str()),
        ("phases[1][duration][interval]", "month"),
    ];
    let path = format!("/v1/subscription_schedules/{}", id(&made));
    let planned = shop.post(&path, &form).await;
    assert_eq!(planned["phases"][1]["start_date"], item["current_period_end"]);
    (subscription, id(&planned))
}

#[tokio::test]
async fn a_planned_change_takes_effect_with_the_next_period_and_then_lets_go() {
    let shop = Shop::open().await;
    let (subscription, schedule) = downgrading(&shop).await;
    let path = format!("/v1/subscriptions/{}", id(&subscription));
    assert_eq!(shop.get(&path).await["schedule"], schedule.as_str());
    let (status, _) = shop.refused(&path, &[("cancel_at_period_end", "true")]).await;
    assert_eq!(status, 400);

    shop.stripe.live_until(START + 32 * DAY).unwrap();
    let now = shop.get(&path).await;
    assert_eq!(now["items"]["data"][0]["price"]["unit_amount"], 1900);
    assert_eq!(now["items"]["data"][0]["id"], subscription["items"]["data"][0]["id"]);
    assert_eq!(shop.get("/v1/invoices").await["data"][0]["amount_paid"], 1900);
    shop.stripe.live_until(START + 63 * DAY).unwrap();
    assert!(shop.get(&path).await["schedule"].is_null());
    let path = format!("/v1/subscription_schedules/{schedule}");
    assert_eq!(text(&shop.get(&path).await, "status"), "released");
    assert_eq!(shop.get("/v1/invoices").await["data"][0]["amount_paid"], 1900);
}

#[tokio::test]
async fn a_plan_can_be_dropped() {
    let shop = Shop::open().await;
    let (subscription, schedule) = downgrading(&shop).await;
    let path = format!("/v1/subscription_schedules/{schedule}/release");
    assert_eq!(shop.post(&path, &[]).await["released_subscription"], id(&subscription).as_str());
    shop.stripe.live_until(START + 32 * DAY).unwrap();
    assert_eq!(shop.get("/v1/invoices").await["data"][0]["amount_paid"], 4900);
}
