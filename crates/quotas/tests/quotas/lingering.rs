//! Settlements that nobody waits for are written a little later, and nobody notices.

use quotas::{NewBudget, Period, Unit};
use testing::TestApp;

use crate::{call, used};

#[tokio::test]
async fn what_a_call_gives_back_is_there_for_the_next_one_whoever_makes_it() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    let (our_call, their_call) = (call(&app, &ours).await, call(&app, &theirs).await);
    // The platform has room for one of them at a time.
    let mut tx = app.db.begin().await.unwrap();
    let budget = NewBudget::limit(None, Period::Day, Unit::NanoUsd, 700_000);
    budget.set(&mut tx, app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    // The books of both are known then.
    for call in [&our_call, &their_call] {
        let hold = app.quotas.reserve(call.clone()).await.unwrap();
        assert!(app.quotas.settle(&hold, used(1, 1)).await.unwrap());
    }

    for call in [&our_call, &their_call, &their_call, &our_call] {
        let hold = app.quotas.reserve(call.clone()).await.expect("room");
        app.quotas.settle_soon(&hold, used(1, 1)).await;
    }

    app.assert_books_balance().await;
}
