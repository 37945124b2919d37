use chrono::TimeDelta;
use serde_json::{Value, json};
use simulators::stripe::{Card, Dunning};
use testing::{Client, TestApp};

use crate::support::{at_stripe, bought, live, settle, signed_in_again};

/// MRR, ARR, ARPU and who pays.
async fn recurring(app: &TestApp) -> (i64, i64, i64, i64) {
    let list = app.operator().await.get("/admin/v1/recurring-revenue").await.ok();
    let Some(dollars) = list["items"].get(0) else { return (0, 0, 0, 0) };
    assert_eq!((&dollars["currency"], &list["items"][1]), (&json!("usd"), &Value::Null));
    let cents = |field: &str| dollars[field].as_i64().unwrap();
    (cents("mrr_cents"), cents("arr_cents"), cents("arpu_cents"), cents("orgs"))
}

fn customer_of(app: &TestApp, client: &Client) -> String {
    let customers = at_stripe(app, "customer");
    let org = client.org().to_string();
    let own = customers.iter().find(|it| it["metadata"]["org_id"] == org.as_str()).unwrap();
    own["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_subscriptions_bring_again_and_again_is_told_as_it_stands_now() {
    let app = TestApp::start().await;
    app.simulators.stripe.after_last_attempt(Dunning::PastDue);
    let (monthly, yearly, leaver) = (app.owner().await, app.owner().await, app.owner().await);
    assert_eq!(recurring(&app).await, (0, 0, 0, 0));
    bought(&app, &monthly, "plan-creator-month").await;
    bought(&app, &monthly, "pack-500").await;
    bought(&app, &yearly, "plan-pro-year").await;
    bought(&app, &leaver, "plan-pro-month").await;
    // 19 and 49 dollars a month, 490 a year.
    let all = 12 * 1_900 + 12 * 4_900 + 49_000;
    assert_eq!(recurring(&app).await, (all / 12, all, all / 36, 3), "packs are bought once");

    yearly.patch("/v1/billing/subscription", json!({ "extra_seats": 2 })).await.ok();
    settle(&app).await;
    let seats = recurring(&app).await.1 - all;
    assert_eq!(seats, 2 * 10_000);
    leaver.delete("/v1/billing/subscription").await.ok();
    settle(&app).await;
    let (mrr, arr, arpu, orgs) = recurring(&app).await;
    let left = 12 * 1_900 + 49_000 + seats;
    assert_eq!((mrr, arr, arpu, orgs), (left / 12, left, left / 24, 2));

    let operator = app.operator().await;
    let mut catalogue = operator.get("/admin/v1/catalogue").await.ok();
    catalogue["plans"][1]["month_cents"] = 2_900.into();
    let catalogue = json!({ "plans": catalogue["plans"], "packs": catalogue["packs"] });
    operator.put("/admin/v1/catalogue", catalogue).await.ok();
    app.run_jobs().await;
    let customer = customer_of(&app, &monthly);
    app.simulators.stripe.set_card(&customer, Card::Declined).unwrap();
    live(&app, TimeDelta::days(33)).await;
    let shown = signed_in_again(&monthly).await.get("/v1/billing/subscription").await.ok();
    assert_eq!(shown["status"], "past_due");
    assert_eq!(recurring(&app).await.1, left, "in grace, and at the price it was made at");
    live(&app, TimeDelta::days(8)).await;
    assert_eq!(recurring(&app).await.1, left - 12 * 1_900, "lapsed");
}
