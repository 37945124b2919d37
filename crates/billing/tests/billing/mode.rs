//! Billing that is free, or not set up.

use serde_json::json;
use testing::TestApp;

use crate::support::{buy, count, credits, plan, send_event};

#[tokio::test]
async fn in_free_mode_nothing_is_sold_and_everything_else_works() {
    let app = TestApp::start_with(|settings| {
        settings.billing.billing_mode = billing::Mode::Free;
        settings.billing.stripe_secret_key = None;
        settings.billing.stripe_webhook_secret = None;
    })
    .await;
    let (operator, owner) = (app.operator().await, app.owner().await);
    let free = (503, "billing_is_free".to_owned());
    assert_eq!(buy(&owner, "pack-10").await.problem(), free);
    assert_eq!(owner.post("/v1/billing/portal-sessions", json!({})).await.problem(), free);
    assert_eq!(owner.get("/v1/billing/invoices").await.problem(), free);
    assert_eq!(send_event(&app, &json!({ "id": "evt_1" })).await.problem(), free);
    assert_eq!(count(&app, "select count(*) from checkouts").await, 0);
    assert_eq!(plan(&owner).await, "free");

    let gift = json!({ "code": "BETA", "kind": "credits", "amount": 30 });
    operator.post("/admin/v1/coupons", gift).await.ok();
    owner.post("/v1/billing/coupon-redemptions", json!({ "code": "BETA" })).await.ok();
    assert_eq!(credits(&owner).await, 30);
    let path = format!("/admin/v1/orgs/{}/plan-grant", owner.org());
    let grant = json!({ "plan": "pro", "reason": "everybody's in the beta" });
    operator.put(&path, grant).await.ok();
    assert_eq!(plan(&owner).await, "pro");
    let health = app.anonymous().get("/health").await.body;
    assert_eq!(health["checks"]["stripe"][0]["status"], "pass", "{health}");
}
