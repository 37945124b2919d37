//! Credits that lapse or are taken back, through the books.

use chrono::TimeDelta;
use futures::future::join_all;
use kernel::{Id, Org};
use quotas::{GrantSource, NewGrant, Share, take_back};
use testing::{Client, TestApp};

use crate::{budgets::sign_in_again, call, give, use_up_the_plan, used};

async fn give_until(app: &TestApp, owner: &Client, amount: i64, id: &str, hours: i64) {
    let grant = NewGrant {
        org: owner.org(),
        source: GrantSource::Promo,
        amount,
        expires_at: Some(app.clock.now() + TimeDelta::hours(hours)),
        external_id: id.to_owned(),
    };
    let mut tx = app.db.begin().await.unwrap();
    grant.give(&mut tx, app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
}

async fn returned(app: &TestApp, org: Id<Org>, given_for: &str, percent: i64) -> i64 {
    let mut tx = app.db.begin().await.unwrap();
    let share = Share { returned: percent, paid: 100 };
    let now = app.clock.now();
    let change = take_back(&mut tx, org, &[given_for.to_owned()], share, now).await.unwrap();
    tx.commit().await.unwrap();
    change
}

async fn credits(owner: &Client) -> (i64, i64, i64) {
    let credits = &owner.get("/v1/quotas").await.ok()["credits"];
    let of = |field: &str| credits[field].as_i64().unwrap();
    (of("available"), of("held"), of("owed"))
}

async fn booked(app: &TestApp, account: &str) -> i64 {
    sqlx::query_scalar(
        "select coalesce(sum(amount), 0)::bigint from ledger_entries where to_account = $1",
    )
    .bind(account)
    .fetch_one(app.db.pool())
    .await
    .unwrap()
}

/// Spends `count` credits, one a call.
async fn spend(app: &TestApp, owner: &Client, count: usize) {
    for _ in 0..count {
        let hold = app.quotas.reserve(call(app, owner).await).await.unwrap();
        app.quotas.settle(&hold, used(1, 1)).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_left_lapses_once_and_what_is_in_flight_may_still_be_spent() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    use_up_the_plan(&app, &owner).await;
    give_until(&app, &owner, 10, "promo", 1).await;
    let mut spent = app.quotas.reserve(call(&app, &owner).await).await.unwrap();
    let mut released = app.quotas.reserve(call(&app, &owner).await).await.unwrap();
    app.advance(TimeDelta::minutes(59));
    for hold in [&mut spent, &mut released] {
        assert!(app.quotas.renew(hold).await.unwrap(), "a call that lasts keeps what it holds");
    }
    assert_eq!(app.quotas.expire_grants().await.unwrap(), 0);

    app.advance(TimeDelta::minutes(1));
    let runs = join_all((0..4).map(|_| app.quotas.expire_grants())).await;
    assert_eq!(runs.into_iter().map(Result::unwrap).sum::<i64>(), 8, "by one of four");
    app.assert_books_balance().await;
    app.quotas.settle(&spent, used(1, 1)).await.unwrap();
    app.quotas.release(&released).await.unwrap();
    assert_eq!(app.quotas.expire_grants().await.unwrap(), 1, "what came back lapses too");
    assert_eq!(app.quotas.expire_grants().await.unwrap(), 0);

    assert_eq!((booked(&app, "expired").await, booked(&app, "spent").await), (9, 1));
    let owner = sign_in_again(&app, &owner).await;
    assert_eq!(credits(&owner).await, (0, 0, 0));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn two_parts_and_then_all_take_back_exactly_what_was_given() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    give(&app, &owner, 50, "pack").await;

    assert_eq!(returned(&app, owner.org(), "pack", 33).await, 16, "in favour of the customer");
    assert_eq!(returned(&app, owner.org(), "pack", 33).await, 0, "told twice");
    assert_eq!(returned(&app, owner.org(), "pack", 67).await, 17);
    assert_eq!(returned(&app, owner.org(), "pack", 100).await, 17);
    assert_eq!(returned(&app, owner.org(), "pack", 200).await, 0, "never more than was given");
    assert_eq!(credits(&owner).await, (0, 0, 0));
    assert_eq!(returned(&app, owner.org(), "pack", 50).await, -25, "a refund that failed");
    assert_eq!(credits(&owner).await, (25, 0, 0));
    assert_eq!(returned(&app, owner.org(), "another", 100).await, 0);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn spent_credits_that_are_taken_back_are_owed_and_paid_by_the_next_ones() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    use_up_the_plan(&app, &owner).await;
    give(&app, &owner, 10, "pack").await;
    spend(&app, &owner, 6).await;

    returned(&app, owner.org(), "pack", 100).await;
    assert_eq!(credits(&owner).await, (0, 0, 6));
    assert!(app.quotas.reserve(call(&app, &owner).await).await.is_err());
    app.assert_books_balance().await;

    give(&app, &owner, 4, "small").await;
    assert_eq!(credits(&owner).await, (0, 0, 2));
    give(&app, &owner, 10, "large").await;
    assert_eq!(credits(&owner).await, (8, 0, 0));
    app.assert_books_balance().await;

    returned(&app, owner.org(), "pack", 0).await;
    assert_eq!(credits(&owner).await, (18, 0, 0), "what others paid is theirs again");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn what_is_owed_is_paid_at_once_by_other_credits_that_could_be_spent() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    use_up_the_plan(&app, &owner).await;
    give(&app, &owner, 10, "pack").await;
    spend(&app, &owner, 6).await;
    give(&app, &owner, 4, "other").await;

    returned(&app, owner.org(), "pack", 100).await;
    assert_eq!(booked(&app, "debt").await, 4, "not only in sum");
    assert_eq!(credits(&owner).await, (0, 0, 2));
    assert!(app.quotas.reserve(call(&app, &owner).await).await.is_err());
    app.assert_books_balance().await;
}

#[tokio::test]
async fn what_lapsed_unspent_is_not_owed() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    give_until(&app, &owner, 10, "month", 1).await;
    app.advance(TimeDelta::hours(2));
    app.quotas.expire_grants().await.unwrap();

    returned(&app, owner.org(), "month", 100).await;
    assert_eq!(credits_of(&app, owner.org()).await, 0);
    returned(&app, owner.org(), "month", 0).await;
    assert_eq!(app.quotas.expire_grants().await.unwrap(), 10, "it lapses again");
    app.assert_books_balance().await;
}

async fn credits_of(app: &TestApp, org: Id<Org>) -> i64 {
    sqlx::query_scalar("select sum(amount - spent - revoked)::bigint from grants where org_id = $1")
        .bind(org)
        .fetch_one(app.db.pool())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credits_taken_back_while_calls_spend_them_are_counted_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    use_up_the_plan(&app, &owner).await;
    give(&app, &owner, 40, "pack").await;
    let call = call(&app, &owner).await;

    let spending = join_all((0..60).map(|_| {
        let (quotas, call) = (app.quotas.clone(), call.clone());
        async move {
            let Ok(hold) = quotas.reserve(call).await else { return 0 };
            i64::from(quotas.settle(&hold, used(1, 1)).await.unwrap())
        }
    }));
    let taking =
        join_all([25, 50, 100].map(|percent| returned(&app, owner.org(), "pack", percent)));
    let (spent, _) = tokio::join!(spending, taking);
    // The last of those that raced may not have been the largest.
    returned(&app, owner.org(), "pack", 100).await;
    app.quotas.settled().await;

    let spent: i64 = spent.iter().sum();
    assert!(spent <= 40);
    assert_eq!(credits(&owner).await, (0, 0, spent), "what was spent is owed, and no more");
    app.assert_books_balance().await;
}

#[tokio::test]
async fn what_a_call_gives_back_pays_for_what_is_owed() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    use_up_the_plan(&app, &owner).await;
    give(&app, &owner, 2, "pack").await;
    spend(&app, &owner, 2).await;
    give(&app, &owner, 1, "other").await;
    let hold = app.quotas.reserve(call(&app, &owner).await).await.unwrap();
    returned(&app, owner.org(), "pack", 100).await;
    assert_eq!(credits(&owner).await, (0, 1, 2), "nothing is taken out of a call's hands");

    app.quotas.release(&hold).await.unwrap();
    app.quotas.expire_grants().await.unwrap();
    assert_eq!(credits(&owner).await, (0, 0, 1));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn the_ledger_refuses_every_change_even_to_its_owner() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    give(&app, &owner, 10, "pack").await;
    for statement in [
        "update ledger_entries set amount = 1",
        "delete from ledger_entries",
        "truncate ledger_entries",
        "update ledger_close_lines set amount = 1",
        "delete from ledger_closes",
        "truncate ledger_closes, ledger_close_lines",
    ] {
        let refused = sqlx::query(statement).execute(app.db.pool()).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{statement}: {refused}");
    }
}

#[tokio::test]
async fn counters_that_are_wrong_are_found_and_rebuilt_from_the_ledger() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    give(&app, &owner, 10, "pack").await;
    returned(&app, owner.org(), "pack", 50).await;
    sqlx::query("update grants set revoked = 3, clawed_back = 2, spent = 1")
        .execute(app.db.pool())
        .await
        .unwrap();
    let rules: Vec<String> =
        quotas::violations(app.db.pool()).await.unwrap().into_iter().map(|it| it.rule).collect();
    for rule in ["grant_spent_is_booked", "grant_revoked_is_booked", "grant_clawed_back_is_booked"]
    {
        assert!(rules.iter().any(|it| it == rule), "{rule} is not in {rules:?}");
    }

    let mut tx = app.db.begin().await.unwrap();
    assert_eq!(quotas::rebuild(&mut tx).await.unwrap().len(), 3);
    tx.commit().await.unwrap();
    assert_eq!(credits(&owner).await, (5, 0, 0));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_closed_month_is_the_same_bytes_for_ever_and_what_comes_late_is_in_the_next() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    give(&app, &owner, 10, "pack").await;
    let month = |months: i64| {
        let date = (app.clock.now() - TimeDelta::days(31 * months)).format("%Y-%m").to_string();
        quotas::Month::parse(&date).unwrap()
    };
    let this = month(0);
    let close = async |month: quotas::Month| {
        let mut tx = app.db.begin().await.unwrap();
        let closed = month.close(&mut tx, app.clock.now()).await;
        tx.commit().await.unwrap();
        closed
    };
    assert!(close(this).await.is_err(), "it is not over");
    assert!(this.export(app.db.pool()).await.is_err(), "it is not closed");
    let begun = app.clock.now();

    app.advance(TimeDelta::days(32));
    close(this).await.unwrap();
    let first = this.export(app.db.pool()).await.unwrap();
    assert!(first.contains(",credits,issued,available,1,10,0,0\n"), "{first}");
    // A transaction that began in the month and ended after it was closed.
    let late = NewGrant {
        org: owner.org(),
        source: GrantSource::Pack,
        amount: 7,
        expires_at: None,
        external_id: "late".to_owned(),
    };
    let mut tx = app.db.begin().await.unwrap();
    late.give(&mut tx, begun).await.unwrap();
    tx.commit().await.unwrap();
    give(&app, &owner, 5, "next").await;
    close(this).await.unwrap();
    assert_eq!(this.export(app.db.pool()).await.unwrap(), first);

    app.advance(TimeDelta::days(32));
    let next = quotas::Month::before(app.clock.now());
    close(next).await.unwrap();
    let second = next.export(app.db.pool()).await.unwrap();
    assert!(second.contains(",credits,issued,available,2,12,1,7\n"), "{second}");
    assert!(close(month(6)).await.is_err(), "a later month is closed");
}
