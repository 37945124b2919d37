//! The portal, invoices, and what stands on them.

use serde_json::json;
use simulators::stripe::Complaint;
use testing::TestApp;

use crate::support::{at_dashboard, at_stripe, bought, colleague, settle};

#[tokio::test]
async fn only_those_who_pay_open_the_portal_and_see_invoices() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for (role, status) in [("admin", 201), ("billing", 201), ("member", 403), ("viewer", 403)] {
        let client = colleague(&app, &owner, role).await;
        let portal = client.post("/v1/billing/portal-sessions", json!({})).await;
        assert_eq!(portal.status, status, "{role}: {portal:?}");
        let seen = if status == 201 { 200 } else { 403 };
        for path in ["/v1/billing/invoices", "/v1/billing/invoices/in_1", "/v1/billing/details"] {
            let reply = client.get(path).await;
            let seen = if seen == 200 && path.ends_with("in_1") { 404 } else { seen };
            assert_eq!(reply.status, seen, "{role} {path}");
        }
        assert_eq!(client.put("/v1/billing/details", json!({})).await.status, seen, "{role}");
    }
    assert_eq!(at_stripe(&app, "customer").len(), 1);
    assert_eq!(app.anonymous().post("/v1/billing/portal-sessions", json!({})).await.status, 401);
    let opened = owner.post("/v1/billing/portal-sessions", json!({})).await.ok();
    assert!(opened["url"].as_str().unwrap().starts_with("http"), "{opened}");
}

#[tokio::test]
async fn every_purchase_has_an_invoice_with_page_and_pdf_that_its_org_alone_can_see() {
    let app = TestApp::start().await;
    let (owner, stranger) = (app.owner().await, app.owner().await);
    let none = owner.get("/v1/billing/invoices").await.ok();
    assert_eq!(none["items"], json!([]));
    bought(&app, &owner, "plan-pro-month").await;
    bought(&app, &owner, "pack-50").await;
    bought(&app, &owner, "pack-10").await;
    bought(&app, &stranger, "pack-100").await;

    let first = owner.get("/v1/billing/invoices?limit=2").await.ok();
    let cursor = first["next_cursor"].as_str().expect("another page");
    let path = format!("/v1/billing/invoices?limit=2&cursor={cursor}");
    let second = owner.get(&path).await.ok();
    let all: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap().clone())
        .collect();
    let totals: Vec<_> = all.iter().map(|it| it["total_cents"].as_i64().unwrap()).collect();
    assert_eq!(totals, [200, 900, 4_900]);
    assert!(second["next_cursor"].is_null());
    for invoice in &all {
        assert_eq!(invoice["status"], "paid");
        for link in ["hosted_url", "pdf_url"] {
            assert!(invoice[link].as_str().unwrap().starts_with("http"), "{invoice}");
        }
        let path = format!("/v1/billing/invoices/{}", invoice["id"].as_str().unwrap());
        assert_eq!(owner.get(&path).await.ok()["number"], invoice["number"]);
        let other = stranger.get(&path).await;
        assert_eq!(other.problem(), (404, "no_such_invoice".into()));
    }
    for id in ["in_none", "cus_1", "in_..", "in_%2F..%2Fcustomers", "x"] {
        let reply = owner.get(&format!("/v1/billing/invoices/{id}")).await;
        assert_eq!(reply.problem(), (404, "no_such_invoice".into()), "{id}");
    }
    for query in ["cursor=x", "cursor=Y3VzXzE"] {
        let reply = owner.get(&format!("/v1/billing/invoices?{query}")).await;
        assert_eq!(reply.problem(), (400, "invalid_cursor".into()), "{query}");
    }
    assert_eq!(owner.get("/v1/billing/invoices?limit=0").await.status, 422);
}

#[tokio::test]
async fn company_address_and_tax_ids_stand_on_invoices() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let details = json!({
        "name": "Ada Ltd", "email": "bills@ada.example",
        "address": { "line1": "1 Dock Street", "line2": null, "city": "Bremen", "state": null,
                     "postal_code": "28195", "country": "DE" },
        "tax_ids": [{ "type": "eu_vat", "value": "DE123456789" }],
        "invoice_footer": "Thank you", "invoice_prefix": "ADA",
    });
    let set = owner.put("/v1/billing/details", details.clone()).await.ok();
    assert_eq!(set, details);
    assert_eq!(owner.get("/v1/billing/details").await.ok(), details);
    bought(&app, &owner, "plan-pro-month").await;
    let invoice = at_stripe(&app, "invoice").remove(0);
    assert_eq!(invoice["customer_name"], "Ada Ltd");
    assert_eq!(invoice["customer_address"]["city"], "Bremen");
    assert_eq!(invoice["customer_email"], "bills@ada.example");

    let mut moved = details.clone();
    moved["tax_ids"] = json!([{ "type": "gb_vat", "value": "GB123456789" }]);
    moved["invoice_footer"] = json!(null);
    assert_eq!(owner.put("/v1/billing/details", moved.clone()).await.ok(), moved);
    assert_eq!(at_stripe(&app, "tax_id").iter().filter(|it| it["deleted"] != true).count(), 1);
    let audited = "select count(*) from audit_events where action = 'billing_details.changed'";
    assert_eq!(crate::support::count(&app, audited).await, 2);
}

#[tokio::test]
async fn billing_details_that_cannot_stand_on_an_invoice_are_refused() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for (details, status, code) in [
        (json!({ "email": "not an address" }), 422, "invalid_field"),
        (json!({ "address": { "country": "Germany" } }), 422, "invalid_field"),
        (json!({ "invoice_prefix": "a" }), 422, "invalid_field"),
        (json!({ "name": "x".repeat(151) }), 422, "invalid_field"),
        (
            json!({ "tax_ids": [{ "type": "eu_vat", "value": "nonsense!" }] }),
            422,
            "billing_details_refused",
        ),
        (json!({ "colour": "red" }), 422, "invalid_body"),
    ] {
        let reply = owner.put("/v1/billing/details", details.clone()).await;
        assert_eq!(reply.problem(), (status, code.to_owned()), "{details}");
    }
}

#[tokio::test]
async fn with_automatic_tax_stripe_is_asked_to_compute_it() {
    let app = TestApp::start_with(|settings| settings.billing.stripe_automatic_tax = true).await;
    let owner = app.owner().await;
    bought(&app, &owner, "plan-pro-month").await;
    let session = at_stripe(&app, "checkout.session").remove(0);
    assert_eq!(session["automatic_tax"]["enabled"], true);
    assert_eq!(session["tax_id_collection"]["enabled"], true);
}

#[tokio::test]
async fn payments_are_found_by_how_they_stand_what_they_were_for_and_when() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for item in ["pack-10", "pack-50", "pack-100", "pack-500"] {
        bought(&app, &owner, item).await;
        app.advance(chrono::TimeDelta::minutes(1));
    }
    let charge = |cents: i64| {
        let charges = at_stripe(&app, "charge");
        let charge = charges.iter().find(|charge| charge["amount"] == cents).unwrap();
        charge["id"].as_str().unwrap().to_owned()
    };
    for (cents, part) in [(900, "900"), (1600, "5")] {
        let form = [("charge", charge(cents)), ("amount", part.to_owned())];
        let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
        at_dashboard(&app, reqwest::Method::POST, "refunds", &form).await;
    }
    app.simulators.stripe.dispute(&Complaint::about(charge(7000))).unwrap();
    settle(&app).await;
    let found = async |query: &str| -> Vec<String> {
        let page = owner.get(&format!("/v1/billing/payments?{query}")).await.ok();
        let items = page["items"].as_array().unwrap().clone();
        items.iter().map(|it| it["item"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(found("").await, ["pack-500", "pack-100", "pack-50", "pack-10"]);
    assert_eq!(found("status=paid").await, ["pack-10"]);
    assert_eq!(found("status=refunded").await, ["pack-50"]);
    assert_eq!(found("status=partly_refunded").await, ["pack-100"]);
    assert_eq!(found("status=disputed").await, ["pack-500"]);
    assert_eq!(found("item=pack-100").await, ["pack-100"]);
    assert_eq!(found("item=pack-100&status=paid").await, [""; 0]);
    let all = owner.get("/v1/billing/payments").await.ok();
    assert_eq!(all["items"][1]["returned_cents"], 5);
    let second = all["items"][2]["created_at"].as_str().unwrap().replace('+', "%2B");
    assert_eq!(found(&format!("to={second}")).await, ["pack-10"]);
    assert_eq!(found(&format!("from={second}&limit=2")).await, ["pack-500", "pack-100"]);
    assert_eq!(owner.get("/v1/billing/payments?status=lost").await.status, 422);
    assert_eq!(app.owner().await.get("/v1/billing/payments").await.ok()["items"], json!([]));
}
