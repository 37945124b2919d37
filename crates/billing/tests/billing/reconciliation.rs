//! Every night our books are compared with Stripe's, and repaired.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use simulators::stripe::{Card, Complaint, Delivery, Fault, Trouble, Verdict};
use testing::{Client, TestApp};

use crate::support::{at_dashboard, at_stripe, bought, buy, count, credits, pay, settle};

pub(crate) async fn reconcile(operator: &Client) -> Value {
    operator.post("/admin/v1/billing/reconciliations", json!({})).await.ok()
}

pub(crate) fn kinds(report: &Value) -> Vec<(String, bool)> {
    let findings = report["findings"].as_array().unwrap();
    let of =
        |it: &Value| (it["kind"].as_str().unwrap().to_owned(), it["repaired"].as_bool().unwrap());
    findings.iter().map(of).collect()
}

pub(crate) fn lose_events(app: &TestApp) {
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
    let app = TestApp::start_with(|it| it.billing.stripe_timeout_ms = 1_500).await;
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

#[tokio::test]
async fn months_whose_renewals_were_lost_for_months_still_give_their_credits_once() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    bought(&app, &owner, "plan-creator-month").await;
    assert_eq!(reconcile(&operator).await["findings"], json!([]));
    lose_events(&app);
    // Nobody looks for two and a half months: two renewals are paid, and the first of those months is over.
    app.advance(TimeDelta::days(75));
    app.simulators.stripe.live_until(app.clock.now().timestamp()).unwrap();
    let operator = app.operator().await;
    let report = reconcile(&operator).await;
    assert!(kinds(&report).iter().all(|(_, repaired)| *repaired), "{report}");
    let owner = crate::support::signed_in_again(&owner).await;
    assert_eq!(count(&app, "select count(*) from payments").await, 3);
    assert_eq!(
        credits(&owner).await,
        200,
        "of the month that runs, and of the one nobody heard of"
    );
    let late = "select count(*) from grants where expires_at - created_at between interval '28 days' and interval '31 days'";
    assert_eq!(count(&app, late).await, 2, "the first month's and the late one's last a month");
    assert_eq!(reconcile(&operator).await["findings"], json!([]), "then nothing differs");
    assert_eq!(credits(&owner).await, 200);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_change_whose_events_were_lost_is_taken_over_with_what_is_planned_next() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    bought(&app, &owner, "plan-pro-month").await;
    bought(&app, &app.owner().await, "plan-agency-month").await;
    lose_events(&app);
    // Somebody changes the plan in Stripe's dashboard, and plans another one.
    let prices = at_stripe(&app, "price");
    let price = |item: &str| {
        let price = prices.iter().find(|price| price["lookup_key"] == item).unwrap();
        price["id"].as_str().unwrap().to_owned()
    };
    let subscription = own(&app, 4900);
    let (id, item) = (&subscription["id"], &subscription["items"]["data"][0]["id"]);
    let agency = price("plan-agency-month");
    let form = [("items[0][id]", item.as_str().unwrap()), ("items[0][price]", agency.as_str())];
    let path = format!("subscriptions/{}", id.as_str().unwrap());
    at_dashboard(&app, Method::POST, &path, &form).await;
    assert_eq!(kinds(&reconcile(&operator).await), [("subscription_differs".to_owned(), true)]);
    assert_eq!(owner.get("/v1/quotas").await.ok()["plan"], "agency");

    let form = [("from_subscription", id.as_str().unwrap())];
    let schedule = at_dashboard(&app, Method::POST, "subscription_schedules", &form).await;
    let period = &subscription["items"]["data"][0];
    let (start, end) = (&period["current_period_start"], &period["current_period_end"]);
    let (start, end, pro) = (start.to_string(), end.to_string(), price("plan-pro-month"));
    let form = [
        ("phases[0][start_date]", start.as_str()),
        ("phases[0][end_date]", end.as_str()),
        ("phases[0][items][0][price]", agency.as_str()),
        ("phases[1][duration][interval]", "month"),
        ("phases[1][items][0][price]", pro.as_str()),
    ];
    let path = format!("subscription_schedules/{}", schedule["id"].as_str().unwrap());
    at_dashboard(&app, Method::POST, &path, &form).await;
    assert_eq!(kinds(&reconcile(&operator).await), [("subscription_differs".to_owned(), true)]);
    let shown = owner.get("/v1/billing/subscription").await.ok();
    assert_eq!((&shown["plan"], &shown["next"]["plan"]), (&json!("agency"), &json!("pro")));
    assert_eq!(reconcile(&operator).await["findings"], json!([]));
}

/// The subscription that costs so much.
pub(crate) fn own(app: &TestApp, cents: i64) -> Value {
    let subscriptions = at_stripe(app, "subscription").into_iter();
    let mut costs =
        subscriptions.filter(|it| it["items"]["data"][0]["price"]["unit_amount"] == cents);
    costs.next().unwrap()
}

#[tokio::test]
async fn a_customer_that_was_made_and_forgotten_is_remembered_or_deleted() {
    let app = TestApp::start_with(|it| it.billing.stripe_timeout_ms = 1_500).await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    let lost = Fault { path: "/v1/customers".into(), times: 4, trouble: Trouble::DropAnswer };
    app.simulators.stripe.fail(lost.clone());
    assert_eq!(buy(&owner, "pack-10").await.problem(), (503, "payments_unavailable".into()));
    app.simulators.stripe.heal();
    assert_eq!(kinds(&reconcile(&operator).await), [("customer_forgotten".to_owned(), true)]);
    bought(&app, &owner, "pack-10").await;
    assert_eq!(at_stripe(&app, "customer").len(), 1, "the same one");

    let other = app.owner().await;
    app.simulators.stripe.fail(lost);
    assert_eq!(buy(&other, "pack-10").await.problem(), (503, "payments_unavailable".into()));
    app.simulators.stripe.heal();
    // Stripe has forgotten the question.
    app.advance(TimeDelta::hours(25));
    let other = crate::support::signed_in_again(&other).await;
    bought(&app, &other, "pack-10").await;
    let operator = app.operator().await;
    assert_eq!(kinds(&reconcile(&operator).await), [("customer_forgotten".to_owned(), true)]);
    let gone = |it: &&Value| it["deleted"] == true;
    assert_eq!(at_stripe(&app, "customer").iter().filter(gone).count(), 1);
    assert_eq!(credits(&other).await, 10);
    assert_eq!(reconcile(&operator).await["findings"], json!([]));
}

#[tokio::test]
async fn a_second_customer_that_has_bought_something_is_not_deleted() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    bought(&app, &owner, "plan-creator-month").await;
    let org = owner.org().to_string();
    let second = [("metadata[org_id]", org.as_str())];
    let second = at_dashboard(&app, Method::POST, "customers", &second).await;
    let price = own(&app, 1_900)["items"]["data"][0]["price"]["id"].as_str().unwrap().to_owned();
    let form = [
        ("customer", second["id"].as_str().unwrap()),
        ("mode", "subscription"),
        ("success_url", "https://example.com"),
        ("line_items[0][price]", price.as_str()),
        ("line_items[0][quantity]", "1"),
    ];
    let session = at_dashboard(&app, Method::POST, "checkout/sessions", &form).await;
    app.simulators.stripe.pay(session["id"].as_str().unwrap(), Card::Accepted).unwrap();

    let report = reconcile(&operator).await;

    assert!(kinds(&report).contains(&("customer_forgotten".to_owned(), false)), "{report}");
    assert!(at_stripe(&app, "customer").iter().all(|it| it["deleted"] != true));
}
