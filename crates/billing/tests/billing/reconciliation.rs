//! Every night our books are compared with Stripe's, and repaired.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use simulators::stripe::{Complaint, Delivery, Fault, Trouble, Verdict};
use testing::{Client, TestApp};

use crate::support::{at_dashboard, at_stripe, bought, buy, count, credits, pay, settle};

async fn reconcile(operator: &Client) -> Value {
    operator.post("/admin/v1/billing/reconciliations", json!({})).await.ok()
}

fn kinds(report: &Value) -> Vec<(String, bool)> {
    let findings = report["findings"].as_array().unwrap();
    let of =
        |it: &Value| (it["kind"].as_str().unwrap().to_owned(), it["repaired"].as_bool().unwrap());
    findings.iter().map(of).collect()
}

fn lose_events(app: &TestApp) {
    app.simulators.stripe.deliver_as(Delivery { drop: true, ..Delivery::default() });
}

#[tokio::test]
async fn nothing_differs_after_an_ordinary_day() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    bought(&app, &owner, "pack-10").await;
    bought(&app, &owner, "plan-pro-month").await;
    let report = reconcile(&operator).await;
    assert_eq!(report["findings"], json!([]), "{report}");
    assert_eq!(
        (&report["checked"]["charges"], &report["checked"]["subscriptions"]),
        (&json!(2), &json!(1))
    );
    let fees = "select count(*) from ledger_entries where to_account = 'fees'";
    assert_eq!(count(&app, fees).await, 2, "what Stripe keeps of each payment is booked");
    reconcile(&operator).await;
    assert_eq!(count(&app, fees).await, 2, "once");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn whatever_was_lost_for_days_is_found_repaired_and_reported() {
    let app = TestApp::start().await;
    let (owner, other, operator) = (app.owner().await, app.owner().await, app.operator().await);
    bought(&app, &owner, "pack-100").await;
    let first = at_stripe(&app, "charge")[0]["id"].as_str().unwrap().to_owned();
    let pack = buy(&owner, "pack-10").await.ok();
    let plan = buy(&other, "plan-creator-month").await.ok();
    lose_events(&app);
    let form = [("charge", first.as_str()), ("amount", "800")];
    at_dashboard(&app, Method::POST, "refunds", &form).await;
    app.simulators.stripe.dispute(&Complaint::about(first)).unwrap();
    pay(&app, &pack);
    pay(&app, &plan);
    settle(&app).await;
    app.advance(TimeDelta::days(3));

    let operator = {
        drop(operator);
        app.operator().await
    };
    let report = reconcile(&operator).await;
    let mut found = kinds(&report);
    found.sort();
    found.dedup();
    let repaired = |kind: &str| (kind.to_owned(), true);
    for kind in ["payment_missing", "refund_missing", "subscription_differs"] {
        assert!(found.contains(&repaired(kind)), "{kind} is not in {report}");
    }
    assert!(found.iter().all(|(_, repaired)| *repaired), "{report}");
    assert_eq!(count(&app, "select count(*) from subscriptions").await, 1);
    let credits = count(&app, "select sum(amount - spent - revoked)::bigint from grants").await;
    assert_eq!(credits, 110, "those of the first are gone");
    let told = count(&app, "select count(*) from emails where subject like '%differed%'").await;
    assert!(told > 0, "operators are told");
    assert_eq!(reconcile(&operator).await["findings"], json!([]), "then nothing differs");
    let list = operator.get("/admin/v1/billing/reconciliations").await.ok();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_dispute_that_was_decided_unheard_of_is_decided_here_too() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    bought(&app, &owner, "pack-100").await;
    lose_events(&app);
    let charge = at_stripe(&app, "charge")[0]["id"].as_str().unwrap().to_owned();
    let dispute = app.simulators.stripe.dispute(&Complaint::about(charge)).unwrap();
    assert_eq!(kinds(&reconcile(&operator).await), [("dispute_missing".to_owned(), true)]);
    assert_eq!(credits(&owner).await, 0);
    app.simulators.stripe.decide(dispute["id"].as_str().unwrap(), Verdict::Won).unwrap();
    assert_eq!(kinds(&reconcile(&operator).await), [("dispute_differs".to_owned(), true)]);
    assert_eq!(credits(&owner).await, 100);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_subscription_that_ended_unheard_of_is_ended_here_too() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    bought(&app, &owner, "plan-pro-month").await;
    let id = at_stripe(&app, "subscription")[0]["id"].as_str().unwrap().to_owned();
    lose_events(&app);
    at_dashboard(&app, Method::DELETE, &format!("subscriptions/{id}"), &[]).await;
    assert_eq!(owner.get("/v1/quotas").await.ok()["plan"], "pro");

    let report = reconcile(&operator).await;
    assert_eq!(kinds(&report), [("subscription_differs".to_owned(), true)], "{report}");
    assert_ne!(owner.get("/v1/quotas").await.ok()["plan"], "pro");
}

#[tokio::test]
async fn a_payment_that_nobody_paid_or_booked_is_reported_and_not_touched() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    bought(&app, &owner, "pack-10").await;
    sqlx::query(
        "insert into payments (id, org_id, checkout_id, stripe_id, amount_cents, currency, created_at)
         select gen_random_uuid(), org_id, checkout_id, 'pi_invented', 0 + 200, currency,
                created_at - interval '1 hour'
         from payments",
    )
    .execute(app.db.pool())
    .await
    .unwrap();
    let report = reconcile(&operator).await;
    let found = [("payment_unknown_at_stripe", false), ("payment_is_booked", false)];
    assert_eq!(
        kinds(&report),
        found.map(|(kind, repaired)| (kind.to_owned(), repaired)),
        "{report}"
    );
    assert_eq!(report["findings"][0]["object"], "pi_invented");
}

#[tokio::test]
async fn lists_are_read_to_their_last_page() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    bought(&app, &owner, "pack-500").await;
    let charge = at_stripe(&app, "charge")[0]["id"].as_str().unwrap().to_owned();
    lose_events(&app);
    for _ in 0..105 {
        let form = [("charge", charge.as_str()), ("amount", "10")];
        at_dashboard(&app, Method::POST, "refunds", &form).await;
    }
    let report = reconcile(&operator).await;
    assert_eq!(report["checked"]["refunds"], 105);
    assert_eq!(count(&app, "select count(*) from refunds").await, 105);
    assert_eq!(credits(&owner).await, 425, "1050 of 7000 cents");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_comparison_that_ends_early_is_reported_as_such() {
    let app = TestApp::start_with(|it| it.billing.stripe_timeout_ms = 150).await;
    let operator = app.operator().await;
    let trouble = Trouble::Status { status: 402 };
    app.simulators.stripe.fail(Fault { path: "/v1/refunds".into(), times: 1, trouble });
    let failed = operator.post("/admin/v1/billing/reconciliations", json!({})).await;
    assert_eq!(failed.problem(), (502, "payments_refused".into()));
    let list = operator.get("/admin/v1/billing/reconciliations").await.ok();
    assert!(list["items"][0]["failure"].as_str().unwrap().contains("402"), "{list}");
}

#[tokio::test]
async fn events_are_forgotten_long_after_they_were_handled_and_waiting_ones_never() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "pack-10").await;
    sqlx::query(
        "insert into stripe_events (id, type, livemode, payload, received_at)
         values ('evt_waits', 'x.y', false, '{}', $1)",
    )
    .bind(app.clock.now())
    .execute(app.db.pool())
    .await
    .unwrap();
    app.advance(TimeDelta::days(91));
    let operator = app.operator().await;
    reconcile(&operator).await;
    assert_eq!(count(&app, "select count(*) from stripe_events").await, 1);
    app.run_jobs().await;
    let waiting = count(&app, "select count(*) from stripe_events where handled_at is null").await;
    assert_eq!(waiting, 0, "it was tried again");
    assert_eq!(count(&app, "select count(*) from payments").await, 1);
}
