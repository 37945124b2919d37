//! A product that is priced in euros, from the first purchase to the closed month.

use chrono::TimeDelta;
use serde_json::{Value, json};
use simulators::stripe::{Complaint, Verdict};
use testing::{Client, TestApp};

use crate::support::{at_stripe, bought, buy, count, credits, pay, plan, settle};

const CATALOGUE: &str = include_str!("../../catalogue.toml");

/// Puts the same prices in force in another currency.
async fn priced_in(app: &TestApp, currency: &str) -> billing::Result<Vec<billing::Difference>> {
    let catalogue = CATALOGUE.replace("currency = \"usd\"", &format!("currency = \"{currency}\""));
    app.billing.sync_catalogue(Some(&catalogue), false).await
}

/// What the ledger moved between two accounts, in one unit.
async fn moved(app: &TestApp, unit: &str, from: &str, to: &str) -> i64 {
    sqlx::query_scalar(
        "select coalesce(sum(amount), 0)::bigint from ledger_entries
         where unit = $1 and from_account = $2 and to_account = $3",
    )
    .bind(unit)
    .bind(from)
    .bind(to)
    .fetch_one(app.db.pool())
    .await
    .unwrap()
}

async fn pack_of(owner: &Client) -> String {
    let payments = owner.get("/v1/billing/payments").await.ok();
    let pack = payments["items"].as_array().unwrap().iter().find(|it| it["item"] == "pack-100");
    pack.unwrap()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_priced_in_euros_is_paid_refunded_disputed_and_closed_in_euros() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    priced_in(&app, "eur").await.unwrap();
    app.run_jobs().await;
    assert_eq!(owner.get("/v1/plans").await.ok()["items"][2]["currency"], "eur");
    assert_eq!(owner.get("/v1/packs").await.ok()["items"][0]["currency"], "eur");

    bought(&app, &owner, "plan-creator-month").await;
    bought(&app, &owner, "pack-100").await;
    app.advance(TimeDelta::minutes(5));
    let upgrade = json!({ "item": "plan-pro-month" });
    let preview = owner.post("/v1/billing/subscription/previews", upgrade.clone()).await.ok();
    assert_eq!(preview["currency"], "eur");
    owner.patch("/v1/billing/subscription", upgrade).await.ok();
    settle(&app).await;
    assert_eq!(plan(&owner).await, "pro");
    let before = credits(&owner).await;
    let paid = moved(&app, "eur", "customer", "stripe").await;
    assert!((6400..=6500).contains(&paid), "19 + 16, and what pro costs more: {paid}");

    let path = format!("/admin/v1/billing/payments/{}/refunds", pack_of(&owner).await);
    let half = json!({ "amount_cents": 800, "reason": "half" });
    let refund = operator.header("idempotency-key", "1").post(&path, half).await.ok();
    assert_eq!(refund["currency"], "eur");
    assert_eq!(credits(&owner).await, before - 50);
    bought(&app, &owner, "pack-10").await;
    let charge = at_stripe(&app, "charge").into_iter().find(|it| it["amount"] == 200).unwrap();
    let dispute = Complaint::about(charge["id"].as_str().unwrap());
    let dispute = app.simulators.stripe.dispute(&dispute).unwrap();
    settle(&app).await;
    app.simulators.stripe.decide(dispute["id"].as_str().unwrap(), Verdict::Lost).unwrap();
    settle(&app).await;
    assert_eq!(credits(&owner).await, before - 50, "ten more, and ten back");
    let report = operator.post("/admin/v1/billing/reconciliations", json!({})).await.ok();
    assert_eq!(report["findings"], json!([]), "{report}");

    assert_eq!(moved(&app, "eur", "stripe", "customer").await, 800);
    assert_eq!(moved(&app, "eur", "disputed", "customer").await, 200);
    assert!(moved(&app, "eur", "stripe", "fees").await > 0);
    assert_eq!(count(&app, "select count(*) from ledger_entries where unit = 'usd'").await, 0);
    app.assert_books_balance().await;

    // Paid in dollars, by a customer from before the prices were in euros.
    sqlx::query(
        "insert into ledger_entries (id, org_id, unit, from_account, to_account, amount, external_id, created_at)
         values (gen_random_uuid(), $1, 'usd', 'stripe', 'fees', 7, 'fee:other', $2)",
    )
    .bind(owner.org())
    .bind(app.clock.now())
    .execute(app.db.pool())
    .await
    .unwrap();
    let month = app.clock.now().format("%Y-%m").to_string();
    app.advance(TimeDelta::days(32));
    let month = quotas::Month::parse(&month).unwrap();
    let mut tx = app.db.begin().await.unwrap();
    month.close(&mut tx, app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    let closed = month.export(app.db.pool()).await.unwrap();
    assert!(closed.contains(&format!(",eur,customer,stripe,4,{},0,0\n", paid + 200)), "{closed}");
    assert!(closed.contains(",eur,stripe,customer,1,800,0,0\n"), "{closed}");
    assert!(closed.contains(",usd,stripe,fees,1,7,0,0\n"), "each currency for itself: {closed}");
}

#[tokio::test]
async fn a_discount_in_money_is_in_the_currency_of_the_prices() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    priced_in(&app, "eur").await.unwrap();
    let coupon = json!({ "code": "EURO5", "kind": "fixed", "amount": 500, "months": 1 });
    operator.post("/admin/v1/coupons", coupon).await.ok();
    let item = json!({ "item": "plan-creator-month", "coupon": "EURO5" });
    pay(&app, &owner.post("/v1/billing/checkout-sessions", item).await.ok());
    settle(&app).await;
    let payments = owner.get("/v1/billing/payments").await.ok();
    let paid = &payments["items"][0];
    assert_eq!((&paid["amount_cents"], &paid["currency"]), (&json!(1400), &json!("eur")));
}

#[tokio::test]
async fn what_was_sold_in_one_currency_is_not_sold_in_another() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-creator-month").await;
    let refused = priced_in(&app, "eur").await.unwrap_err();
    assert!(refused.to_string().contains("sold in usd"), "{refused}");
    assert_eq!(owner.get("/v1/plans").await.ok()["items"][0]["currency"], "usd");
    buy(&owner, "pack-10").await.ok();
    let dollars = |it: &Value| it["currency"] == "usd";
    assert!(at_stripe(&app, "price").iter().all(dollars));
}
