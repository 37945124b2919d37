//! Disputes, and refunds that fail.

use serde_json::{Value, json};
use simulators::stripe::{Complaint, Delivery, Fault, Trouble, Verdict};
use testing::{Client, TestApp};

use crate::{
    returns::{buyer, charge, refund, refunded_at_dashboard, with_stripe},
    support::{bought, count, credits, settle},
};

async fn owed(client: &Client) -> i64 {
    client.get("/v1/quotas").await.ok()["credits"]["owed"].as_i64().unwrap()
}

pub(crate) async fn spend(app: &TestApp, owner: &Client, credits: i64) {
    sqlx::query("update grants set spent = $2 where org_id = $1")
        .bind(owner.org())
        .bind(credits)
        .execute(app.db.pool())
        .await
        .unwrap();
    sqlx::query(
        "insert into ledger_entries
             (id, org_id, unit, from_account, to_account, amount, grant_id, external_id, created_at)
         select gen_random_uuid(), org_id, 'credits', 'available', 'spent', $2, id, 'calls', $3
         from grants where org_id = $1",
    )
    .bind(owner.org())
    .bind(credits)
    .bind(app.clock.now())
    .execute(app.db.pool())
    .await
    .unwrap();
}

#[tokio::test]
async fn refunds_made_in_the_dashboard_count_and_one_that_fails_gives_the_credits_back() {
    let app = TestApp::start().await;
    let (owner, operator, payment) = buyer(&app).await;
    let first = refunded_at_dashboard(&app, "400").await;
    refunded_at_dashboard(&app, "400").await;
    assert_eq!((credits(&owner).await, with_stripe(&app).await), (50, 800));
    let left = refund(&operator, &payment, "1", json!(801)).await;
    assert_eq!(left.problem(), (409, "refund_too_large".into()), "those count too");

    app.simulators.stripe.fail_refund(first["id"].as_str().unwrap()).unwrap();
    settle(&app).await;
    assert_eq!((credits(&owner).await, with_stripe(&app).await), (75, 1200));
    let path = format!("/admin/v1/billing/payments/{payment}/refunds");
    let refunds = operator.get(&path).await.ok();
    let states: Vec<&Value> = refunds.as_array().unwrap().iter().map(|it| &it["status"]).collect();
    assert_eq!(states, [&json!("failed"), &json!("succeeded")]);
    app.assert_books_balance().await;
}

/// The events of a dispute, the oldest first.
fn disputed(app: &TestApp) -> Vec<String> {
    let mut events = app.simulators.stripe.events();
    events.retain(|it| it["type"].as_str().unwrap().starts_with("charge.dispute."));
    events.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_answer_that_comes_late_does_not_undo_what_was_learned_meanwhile() {
    let app = TestApp::start().await;
    let (owner, ..) = buyer(&app).await;
    let stripe = &app.simulators.stripe;
    stripe.deliver_as(Delivery { drop: true, ..Delivery::default() });
    let dispute = stripe.dispute(&Complaint::about(charge(&app))).unwrap();
    let path = "/v1/disputes".to_owned();
    stripe.fail(Fault { path, times: 1, trouble: Trouble::HoldAnswer });
    let opened = disputed(&app);
    stripe.redeliver(&opened[0], 1, false).await.unwrap();
    let told_that_it_is_open = app.run_jobs();
    let meanwhile = async {
        stripe.holds_an_answer().await;
        stripe.decide(dispute["id"].as_str().unwrap(), Verdict::Won).unwrap();
        let all = disputed(&app);
        stripe.redeliver(all.last().unwrap(), 1, false).await.unwrap();
        app.run_jobs().await;
        let status = "select count(*) from disputes where status = 'won'";
        assert_eq!(count(&app, status).await, 1, "it was heard first");
        stripe.heal();
    };
    tokio::join!(told_that_it_is_open, meanwhile);
    settle(&app).await;
    assert_eq!((credits(&owner).await, with_stripe(&app).await), (100, 1600));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn events_of_refunds_and_disputes_many_times_and_backwards_change_nothing_more() {
    let app = TestApp::start().await;
    let (owner, ..) = buyer(&app).await;
    let delivery = Delivery { copies: 3, reverse: true, ..Delivery::default() };
    app.simulators.stripe.deliver_as(delivery);
    refunded_at_dashboard(&app, "400").await;
    let dispute = app.simulators.stripe.dispute(&Complaint::about(charge(&app))).unwrap();
    settle(&app).await;
    assert_eq!((credits(&owner).await, with_stripe(&app).await), (0, 0));
    app.assert_books_balance().await;

    app.simulators.stripe.decide(dispute["id"].as_str().unwrap(), Verdict::Won).unwrap();
    settle(&app).await;
    assert_eq!((credits(&owner).await, with_stripe(&app).await), (75, 1200));
    for event in app.simulators.stripe.events() {
        app.simulators.stripe.redeliver(event["id"].as_str().unwrap(), 2, true).await.unwrap();
    }
    app.run_jobs().await;
    assert_eq!(credits(&owner).await, 75);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_dispute_that_is_lost_keeps_the_credits_and_an_inquiry_takes_none() {
    let app = TestApp::start().await;
    let (owner, ..) = buyer(&app).await;
    let inquiry = Complaint { inquiry: true, ..Complaint::about(charge(&app)) };
    let inquiry = app.simulators.stripe.dispute(&inquiry).unwrap();
    settle(&app).await;
    assert_eq!(credits(&owner).await, 100, "the bank only asks");
    app.simulators.stripe.decide(inquiry["id"].as_str().unwrap(), Verdict::Won).unwrap();

    let part = Complaint { amount: Some(800), ..Complaint::about(charge(&app)) };
    let dispute = app.simulators.stripe.dispute(&part).unwrap();
    settle(&app).await;
    assert_eq!(credits(&owner).await, 50, "the money is gone when it is opened");
    app.simulators.stripe.decide(dispute["id"].as_str().unwrap(), Verdict::Lost).unwrap();
    settle(&app).await;
    assert_eq!((credits(&owner).await, with_stripe(&app).await), (50, 800));
    let fees = count(&app, "select count(*) from ledger_entries where to_account = 'fees'").await;
    assert_eq!(fees, 1, "what the bank keeps of a dispute is booked");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn credits_that_were_spent_are_owed_after_a_refund_and_given_back_if_a_dispute_is_won() {
    let app = TestApp::start().await;
    let (owner, ..) = buyer(&app).await;
    spend(&app, &owner, 60).await;
    let dispute = app.simulators.stripe.dispute(&Complaint::about(charge(&app))).unwrap();
    settle(&app).await;
    assert_eq!((credits(&owner).await, owed(&owner).await), (0, 60));
    bought(&app, &owner, "pack-50").await;
    assert_eq!((credits(&owner).await, owed(&owner).await), (0, 10), "new ones pay first");
    app.assert_books_balance().await;

    app.simulators.stripe.decide(dispute["id"].as_str().unwrap(), Verdict::Won).unwrap();
    settle(&app).await;
    assert_eq!((credits(&owner).await, owed(&owner).await), (90, 0), "exactly as it was");
    app.assert_books_balance().await;
}
