use serde_json::json;
use simulators::stripe::{Delivery, Fault, Trouble};
use testing::TestApp;

use crate::support::{
    at_stripe, buy, count, credits, outcomes, pay, send_event, session_of, settle,
};

const PATIENCE_MS: u64 = 1_500;

/// How often a call is tried.
const ATTEMPTS: u32 = 4;

async fn start() -> TestApp {
    TestApp::start_with(|settings| settings.billing.stripe_timeout_ms = PATIENCE_MS).await
}

fn fail(app: &TestApp, path: &str, times: u32, trouble: Trouble) {
    app.simulators.stripe.fail(Fault { path: path.to_owned(), times, trouble });
}

/// Stripe fails for as long as we ask; then the buyer tries again.
async fn recovers_from(trouble: Trouble, problem: (u16, &str)) {
    let app = start().await;
    let owner = app.owner().await;
    fail(&app, "/v1/checkout/sessions", ATTEMPTS, trouble);
    let failed = buy(&owner, "pack-10").await;
    assert_eq!(failed.body["retryable"], true, "{trouble:?}: {failed:?}");
    assert_eq!(failed.problem(), (problem.0, problem.1.to_owned()), "{trouble:?}");
    assert_eq!(count(&app, "select count(*) from checkouts where url is not null").await, 0);
    assert_eq!(credits(&owner).await, 0);

    app.simulators.stripe.heal();
    let opened = buy(&owner, "pack-10").await.ok();
    assert_eq!(count(&app, "select count(*) from checkouts").await, 1, "the first was continued");
    let sessions = at_stripe(&app, "checkout.session");
    assert_eq!((sessions.len(), &sessions[0]["client_reference_id"]), (1, &opened["id"]));
    let state = app.simulators.stripe.state().unwrap();
    let keys = state["state"]["idempotency"].as_object().unwrap();
    assert!(keys.contains_key(opened["id"].as_str().unwrap()), "the key is not the checkout's id");
}

#[tokio::test]
async fn a_purchase_recovers_from_stripes_own_failures() {
    recovers_from(Trouble::Status { status: 500 }, (503, "payments_unavailable")).await;
}

#[tokio::test]
async fn a_purchase_recovers_from_being_too_fast() {
    recovers_from(Trouble::Status { status: 429 }, (503, "payments_unavailable")).await;
}

#[tokio::test]
async fn a_purchase_recovers_from_a_conflict() {
    recovers_from(Trouble::Status { status: 409 }, (503, "payments_unavailable")).await;
}

#[tokio::test]
async fn a_purchase_recovers_from_a_refusal() {
    recovers_from(Trouble::Status { status: 402 }, (502, "payments_refused")).await;
}

#[tokio::test]
async fn a_purchase_recovers_from_a_stripe_that_does_not_answer() {
    let hang = Trouble::Hang { milliseconds: 60_000 };
    recovers_from(hang, (503, "payments_unavailable")).await;
}

#[tokio::test]
async fn a_purchase_recovers_from_cut_connections() {
    recovers_from(Trouble::Reset, (503, "payments_unavailable")).await;
}

#[tokio::test]
async fn a_purchase_recovers_from_garbage() {
    recovers_from(Trouble::Garbage, (503, "payments_unavailable")).await;
}

#[tokio::test]
async fn an_answer_lost_on_the_way_is_asked_for_again_with_the_same_key() {
    let app = start().await;
    let owner = app.owner().await;
    fail(&app, "/v1/customers", 1, Trouble::DropAnswer);
    fail(&app, "/v1/checkout/sessions", 1, Trouble::DropAnswer);
    let opened = buy(&owner, "pack-10").await.ok();
    assert_eq!(at_stripe(&app, "customer").len(), 1);
    let sessions = at_stripe(&app, "checkout.session");
    assert_eq!((sessions.len(), &sessions[0]["id"]), (1, &json!(session_of(&opened))));
}

#[tokio::test]
async fn a_payment_is_handed_out_even_if_we_never_noted_where_it_was_made() {
    let app = start().await;
    let owner = app.owner().await;
    let opened = buy(&owner, "pack-10").await.ok();
    sqlx::query("update checkouts set stripe_session_id = null, url = null, expires_at = null")
        .execute(app.db.pool())
        .await
        .unwrap();
    pay(&app, &opened);
    settle(&app).await;
    assert_eq!(credits(&owner).await, 10);
}

#[tokio::test]
async fn an_event_is_applied_later_if_stripe_cannot_be_asked_now() {
    let app = start().await;
    let owner = app.owner().await;
    let checkout = buy(&owner, "pack-10").await.ok();
    app.simulators.stripe.deliver_as(Delivery { drop: true, ..Delivery::default() });
    pay(&app, &checkout);
    let event = app.simulators.stripe.events().pop().unwrap();
    assert_eq!(event["type"], "checkout.session.completed");
    let event = event["id"].as_str().unwrap();

    fail(&app, "/v1/checkout/sessions/", ATTEMPTS, Trouble::Status { status: 500 });
    app.simulators.stripe.redeliver(event, 1, false).await.unwrap();
    app.run_jobs().await;
    assert_eq!(outcomes(&app, "checkout.session.completed").await, [None]);
    assert_eq!(credits(&owner).await, 0);

    app.simulators.stripe.redeliver(event, 1, false).await.unwrap();
    app.run_jobs().await;
    assert_eq!(outcomes(&app, "checkout.session.completed").await, [Some("applied".into())]);
    assert_eq!(credits(&owner).await, 10);
}

#[tokio::test]
async fn without_keys_nothing_can_be_bought_and_stripe_is_told_to_try_again() {
    let app = TestApp::start_with(|settings| {
        settings.billing.stripe_secret_key = None;
        settings.billing.stripe_webhook_secret = None;
    })
    .await;
    let owner = app.owner().await;
    let expected = (503, "billing_not_configured".to_owned());
    assert_eq!(buy(&owner, "pack-10").await.problem(), expected);
    let reply = send_event(&app, &json!({ "id": "evt_1" })).await;
    assert_eq!(reply.problem(), expected);
    assert_eq!(count(&app, "select count(*) from checkouts").await, 0);
    owner.get("/v1/plans").await.ok();
}

#[tokio::test]
async fn a_purchase_that_gave_way_to_another_cannot_be_paid() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let sessions = "/v1/checkout/sessions".to_owned();
    let hang = Trouble::Hang { milliseconds: 6_000 };
    app.simulators.stripe.fail(Fault { path: sessions, times: 1, trouble: hang });
    let buy = |item: &str| {
        let (client, item) = (owner.clone(), json!({ "item": item }));
        async move { client.post("/v1/billing/checkout-sessions", item).await }
    };

    let first = tokio::spawn(buy("plan-pro-month"));
    loop {
        let open: i64 = sqlx::query_scalar("select count(*) from checkouts")
            .fetch_one(app.db.pool())
            .await
            .unwrap();
        if open == 1 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let second = buy("plan-creator-month").await;

    assert!(second.status.is_success(), "{second:?}");
    assert_eq!(first.await.unwrap().problem().0, 409);
    let mut sessions = at_stripe(&app, "checkout.session");
    sessions.retain(|session| session["status"] == "open");
    assert_eq!(sessions.len(), 1, "one page can be paid: {sessions:?}");
}
