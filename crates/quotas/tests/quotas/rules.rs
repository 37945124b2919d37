//! What holds of single rows: who is refused by what, who may go on, and that counters can be
//! computed again.

use std::time::Duration;

use chrono::TimeDelta;
use quotas::{Error, NewBudget, Period, Quotas, Refusal, Unit};
use testing::TestApp;

use crate::{call, give, use_up_the_plan, used};

#[tokio::test]
async fn a_renewed_call_lives_on_and_one_that_was_given_up_can_neither_be_renewed_nor_settled() {
    let app = TestApp::start_with(|settings| settings.quotas.ai_hold_seconds = 60).await;
    let owner = app.owner().await;
    let mut hold = app.quotas.reserve(call(&app, &owner).await).await.unwrap();

    app.advance(TimeDelta::seconds(50));
    assert!(app.quotas.renew(&mut hold).await.unwrap());
    app.advance(TimeDelta::seconds(50));
    assert_eq!(app.quotas.reap().await.unwrap(), 0, "it was renewed");
    app.advance(TimeDelta::seconds(20));
    assert_eq!(app.quotas.reap().await.unwrap(), 1);

    assert!(!app.quotas.renew(&mut hold).await.unwrap());
    assert!(!app.quotas.settle(&hold, used(5, 1)).await.unwrap());
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_renewed_while_it_is_being_given_up_lives_on() {
    let app = TestApp::start_with(|settings| settings.quotas.ai_hold_seconds = 60).await;
    let owner = app.owner().await;
    let hold = app.quotas.reserve(call(&app, &owner).await).await.unwrap();
    app.advance(TimeDelta::seconds(70));
    let mut renewing = app.db.begin().await.unwrap();
    sqlx::query("update holds set expires_at = $1")
        .bind(app.clock.now() + TimeDelta::seconds(60))
        .execute(&mut *renewing)
        .await
        .unwrap();

    // It is read as it was before, and waits for the row.
    let reaping = tokio::spawn({
        let quotas = app.quotas.clone();
        async move { quotas.reap().await }
    });
    let waits = "select exists (select from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock')";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(app.db.pool()).await.unwrap() {
        tokio::task::yield_now().await;
    }
    renewing.commit().await.unwrap();

    assert_eq!(reaping.await.unwrap().unwrap(), 0, "it was renewed");
    assert!(app.quotas.settle(&hold, used(5, 1)).await.unwrap());
    app.assert_books_balance().await;
}

#[tokio::test]
async fn an_org_whose_calls_end_unknown_again_and_again_is_stopped_for_the_day() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    give(&app, &owner, 1000, "pack").await;
    for _ in 0..50 {
        let hold = app.quotas.reserve(call(&app, &owner).await).await.unwrap();
        app.quotas.give_up(&hold).await.unwrap();
    }

    let refused = app.quotas.reserve(call(&app, &owner).await).await.unwrap_err();
    let Error::Refused { refusal: Refusal::BudgetExhausted(full), .. } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((full.unit, full.limit, full.used), (Unit::Unknowns, 50, 50));
    app.advance(TimeDelta::days(1));
    app.quotas.reserve(call(&app, &owner).await).await.unwrap();
    app.assert_books_balance().await;
}

#[tokio::test]
async fn settlements_that_nobody_waits_for_are_booked() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for _ in 0..3 {
        let hold = app.quotas.reserve(call(&app, &owner).await).await.unwrap();
        app.quotas.settle_soon(&hold, used(7, 1)).await;
    }

    app.quotas.settled().await;

    assert_eq!(owner.get("/v1/usage").await.ok()["total"]["calls"], 3);
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_somebody_holds_delays_nobody_else() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    let mut lock = app.db.begin().await.unwrap();
    sqlx::query("select from budgets where org_id = $1 for update")
        .bind(theirs.org())
        .execute(&mut *lock)
        .await
        .unwrap();
    let blocked = tokio::spawn({
        let (quotas, call) = (app.quotas.clone(), call(&app, &theirs).await);
        async move { quotas.reserve(call).await }
    });

    for _ in 0..5 {
        let reserving = app.quotas.reserve(call(&app, &ours).await);
        // Not before the lock time-out of those who wait for the row.
        let hold = tokio::time::timeout(Duration::from_secs(30), reserving).await.expect("in time");
        app.quotas.release(&hold.unwrap()).await.unwrap();
    }
    assert!(!blocked.is_finished());
    lock.rollback().await.unwrap();

    blocked.await.unwrap().unwrap();
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_changed_amount_counts_at_once_in_every_instance() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let other = Quotas::start(app.db.clone(), app.clock.clone(), &app.settings.quotas);
    for quotas in [&app.quotas, &other] {
        quotas.reserve(call(&app, &owner).await).await.unwrap();
    }

    let mut tx = app.db.begin().await.unwrap();
    let budget = NewBudget::limit(Some(owner.org()), Period::Day, Unit::Requests, 0);
    budget.set(&mut tx, app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();

    for quotas in [&app.quotas, &other] {
        let refused = quotas.reserve(call(&app, &owner).await).await;
        assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn midnight_is_the_orgs_and_a_clock_that_is_behind_does_not_bring_the_day_back() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    sqlx::query("update orgs set time_zone = 'Pacific/Auckland' where id = $1")
        .bind(owner.org())
        .execute(app.db.pool())
        .await
        .unwrap();
    use_up_the_plan(&app, &owner).await;
    assert!(app.quotas.reserve(call(&app, &owner).await).await.is_err());
    let behind = kernel::Clock::frozen_at(app.clock.now());
    let behind = Quotas::start(app.db.clone(), behind, &app.settings.quotas);

    // Noon in UTC is one in the morning there, or midnight: the day is over long before it is in UTC.
    app.advance(TimeDelta::hours(24));
    let hold = app.quotas.reserve(call(&app, &owner).await).await.unwrap();
    app.quotas.settle(&hold, used(1, 1)).await.unwrap();
    for _ in 0..4 {
        let hold = behind.reserve(call(&app, &owner).await).await.unwrap();
        behind.settle(&hold, used(1, 1)).await.unwrap();
    }

    for quotas in [&app.quotas, &behind] {
        assert!(quotas.reserve(call(&app, &owner).await).await.is_err(), "the day began once");
    }
    app.assert_books_balance().await;
}

#[tokio::test]
async fn counters_are_computed_again_from_what_is_written_down() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    use_up_the_plan(&app, &owner).await;
    give(&app, &owner, 10, "pack").await;
    let hold = app.quotas.reserve(call(&app, &owner).await).await.unwrap();
    app.quotas.settle(&hold, used(3, 1)).await.unwrap();
    app.quotas.reserve(call(&app, &owner).await).await.unwrap();
    app.assert_books_balance().await;
    let counters = "select array_agg(spent order by id) || array_agg(held order by id) from ";
    let read = async |table: &str| -> Vec<i64> {
        let query = sqlx::AssertSqlSafe(format!("{counters}{table}"));
        sqlx::query_scalar(query).fetch_one(app.db.pool()).await.unwrap()
    };
    let before = (read("budgets").await, read("grants").await);
    for spoil in
        ["update budgets set spent = 99, held = 7", "update grants set spent = 2, held = 0"]
    {
        sqlx::query(spoil).execute(app.db.pool()).await.unwrap();
    }

    let mut tx = app.db.begin().await.unwrap();
    let differed = quotas::rebuild(&mut tx).await.unwrap();
    tx.commit().await.unwrap();

    assert!(!differed.is_empty());
    assert_eq!((read("budgets").await, read("grants").await), before);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_month_begins_once_for_instances_whose_clocks_are_five_minutes_apart() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let mut tx = app.db.begin().await.unwrap();
    let limit = NewBudget::limit(Some(owner.org()), Period::Month, Unit::Requests, 2);
    limit.set(&mut tx, app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    let next_month = Period::Month.end(app.clock.now(), chrono_tz::UTC).unwrap();
    app.advance(next_month - app.clock.now());
    let at = |minutes| {
        let clock = kernel::Clock::frozen_at(next_month + TimeDelta::minutes(minutes));
        Quotas::start(app.db.clone(), clock, &app.settings.quotas)
    };
    let (ahead, behind) = (at(5), at(-5));
    let call = call(&app, &owner).await;
    for _ in 0..2 {
        let hold = behind.reserve(call.clone()).await.unwrap();
        behind.settle(&hold, used(1, 1)).await.unwrap();
    }
    assert!(behind.reserve(call.clone()).await.is_err(), "the old month is used up");

    let (mut served, mut refused) = (0, 0);
    for quotas in [&ahead, &behind, &ahead, &behind, &app.quotas] {
        match quotas.reserve(call.clone()).await {
            Ok(hold) => {
                quotas.settle(&hold, used(1, 1)).await.unwrap();
                served += 1;
            }
            Err(_) => refused += 1,
        }
    }

    assert_eq!((served, refused), (2, 3), "the new month began once");
    app.assert_books_balance().await;
}
