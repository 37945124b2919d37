//! Closing an account ends what it pays for; its books stay and name nobody.

use reqwest::Method;
use serde_json::{Value, json};
use simulators::stripe::Complaint;
use testing::TestApp;

use crate::support::{at_dashboard, at_stripe, bought, buy, count, credits, pay, settle};

#[tokio::test]
async fn a_closed_account_pays_for_nothing_and_its_ledger_stays_and_names_nobody() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    bought(&app, &owner, "plan-pro-month").await;
    bought(&app, &owner, "pack-10").await;
    let open = buy(&owner, "pack-50").await.ok();
    let entries = count(&app, "select count(*) from ledger_entries").await;
    let path = format!("/admin/v1/billing/orgs/{}/closure", owner.org());
    assert_eq!(operator.get(&path).await.problem(), (404, "not_closed".into()));
    for _ in 0..2 {
        assert_eq!(operator.put(&path, json!({})).await.status, 202);
    }
    app.run_jobs().await;
    settle(&app).await;

    assert!(operator.get(&path).await.ok()["done_at"].is_string());
    assert_eq!(at_stripe(&app, "subscription")[0]["status"], "canceled");
    assert_eq!(at_stripe(&app, "customer")[0]["deleted"], true);
    assert_eq!(pay(&app, &open)["status"], "expired", "nobody can pay any more");
    assert_ne!(owner.get("/v1/quotas").await.ok()["plan"], "pro");
    assert_eq!(count(&app, "select count(*) from ledger_entries").await, entries, "the books stay");
    let told =
        count(&app, "select count(*) from stripe_events where payload like '%buyer@example.com%'");
    assert_eq!(told.await, 0, "no address is kept");
    let audited = count(&app, "select count(*) from audit_events where action = 'billing.closed'");
    assert_eq!(audited.await, 1);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn what_a_closed_account_paid_can_still_be_refunded() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    bought(&app, &owner, "pack-100").await;
    let path = format!("/admin/v1/billing/orgs/{}/closure", owner.org());
    operator.put(&path, json!({})).await.ok();
    app.run_jobs().await;
    let charge = at_stripe(&app, "charge")[0]["id"].as_str().unwrap().to_owned();
    at_dashboard(&app, Method::POST, "refunds", &[("charge", charge.as_str())]).await;
    settle(&app).await;
    assert_eq!(credits(&owner).await, 0);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn the_timeline_explains_every_credit_and_every_cent_up_to_the_balance() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    bought(&app, &owner, "plan-creator-month").await;
    bought(&app, &owner, "pack-100").await;
    app.advance(chrono::TimeDelta::minutes(1));
    let payments = owner.get("/v1/billing/payments").await.ok();
    let pack = payments["items"].as_array().unwrap().iter().find(|it| it["item"] == "pack-100");
    let path =
        format!("/admin/v1/billing/payments/{}/refunds", pack.unwrap()["id"].as_str().unwrap());
    let body = json!({ "amount_cents": 400, "reason": "a quarter" });
    operator.header("idempotency-key", "1").post(&path, body).await.ok();
    let charge = at_stripe(&app, "charge").into_iter().find(|it| it["amount"] == 1_600).unwrap();
    let complaint = Complaint::about(charge["id"].as_str().unwrap());
    app.simulators.stripe.dispute(&Complaint { amount: Some(400), ..complaint }).unwrap();
    settle(&app).await;

    let path = format!("/admin/v1/billing/orgs/{}/timeline", owner.org());
    let timeline = operator.get(&path).await.ok();
    let items = timeline.as_array().unwrap();
    let of = |kind: &str| items.iter().filter(|it| it["kind"] == kind).collect::<Vec<&Value>>();
    for kind in ["event", "plan", "payment", "credits_given", "refund_requested", "refund"] {
        assert!(!of(kind).is_empty(), "{kind} is missing: {timeline:#}");
    }
    let told =
        |kind: &str| of("event").iter().any(|it| it["detail"].as_str().unwrap().starts_with(kind));
    for kind in ["checkout.session.completed", "refund.created", "charge.dispute.created"] {
        assert!(told(kind), "{kind} is missing: {timeline:#}");
    }
    assert_eq!(of("credits_taken_back")[0]["change"], -25);
    let last = |unit: &str| items.iter().rfind(|it| it["unit"] == unit).unwrap()["balance"].clone();
    assert_eq!(last("credits"), credits(&owner).await);
    assert_eq!(last("usd"), 1900 + 1600 - 400 - 400 - 1500, "Stripe keeps a fee of disputes");
    let mut sums = std::collections::HashMap::new();
    for item in items.iter().filter(|it| it["unit"].is_string()) {
        let sum = sums.entry(item["unit"].as_str().unwrap()).or_insert(0);
        *sum += item["change"].as_i64().unwrap();
        assert_eq!(item["balance"], *sum, "the balance runs: {timeline:#}");
    }
    let times: Vec<&str> = items.iter().map(|it| it["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{timeline:#}");
    let missing = format!("/admin/v1/billing/orgs/{}/timeline", uuid::Uuid::now_v7());
    assert_eq!(operator.get(&missing).await.problem(), (404, "org_not_found".into()));
}
