//! Whoever pays gets a receipt, once a payment.

use testing::TestApp;

use crate::support::{bought, count, settle};

#[tokio::test]
async fn every_payment_is_receipted_once_however_often_stripe_tells_of_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    bought(&app, &owner, "pack-100").await;
    // As if none of them had been applied.
    let again = "update stripe_events set handled_at = null, outcome = null, queued_at = null";
    sqlx::query(again).execute(app.db.pool()).await.unwrap();
    let queue =
        "select graphile_worker.add_job('billing.queue_stripe_events', '{\"job\": {}}'::json)";
    sqlx::query(queue).execute(app.db.pool()).await.unwrap();
    settle(&app).await;
    let handled = "select count(*) from stripe_events
                   where type = 'checkout.session.completed' and outcome is not null";
    assert_eq!(count(&app, handled).await, 1, "it was applied again");
    let receipts = || {
        let mails = app.simulators.mailbox.messages_to(&owner.email);
        let receipts = mails.iter().filter(|mail| mail.subject == "Receipt from Slipway");
        receipts.map(|mail| mail.text.clone().unwrap()).collect::<Vec<_>>()
    };
    let [receipt] = &receipts()[..] else { panic!("one receipt: {:?}", receipts()) };
    assert!(receipt.contains("For: pack-100") && receipt.contains("Amount: USD "), "{receipt}");

    bought(&app, &owner, "plan-creator-month").await;
    let all = receipts();
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[1].contains("Amount: USD 19.00"), "{}", all[1]);
}
