//! Reservations, settlements and the reaper, below HTTP.

mod budgets;
mod lingering;
mod plans;
mod races;
mod returns;
mod rules;

use chrono::TimeDelta;
use kernel::NanoUsd;
use quotas::{Call, Error, GrantSource, NewGrant, Refusal, Used};
use testing::{Client, TestApp};
use usage::{ModelKind, Outcome, PriceBook, Quantities};

async fn call(app: &TestApp, owner: &Client) -> Call {
    let prices = PriceBook::new(app.db.clone(), app.clock.clone());
    let model = prices.find("openai", "gpt-4o-mini", ModelKind::Chat).await.unwrap();
    Call {
        org: owner.org(),
        user: owner.user(),
        api_key: None,
        project: None,
        operation: "chat",
        provider: model.provider,
        model: model.name,
        price: model.price,
        max_tokens: 1000,
        max_cost: NanoUsd(600_000),
        request_id: None,
    }
}

fn used(cost: i64, credits: i64) -> Used {
    Used {
        outcome: Outcome::Succeeded,
        quantities: Quantities { input_tokens: 10, output_tokens: 10, ..Quantities::default() },
        estimated: false,
        cost: NanoUsd(cost),
        credits,
    }
}

async fn give(app: &TestApp, owner: &Client, amount: i64, external_id: &str) -> bool {
    let grant = NewGrant {
        org: owner.org(),
        source: GrantSource::Pack,
        amount,
        expires_at: None,
        external_id: external_id.to_owned(),
    };
    let mut tx = app.db.begin().await.unwrap();
    let given = grant.give(&mut tx, app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
    given
}

async fn use_up_the_plan(app: &TestApp, owner: &Client) {
    for _ in 0..5 {
        let hold = app.quotas.reserve(call(app, owner).await).await.unwrap();
        app.quotas.settle(&hold, used(1, 1)).await.unwrap();
    }
}

async fn spent_and_held(app: &TestApp, owner: &Client) -> (i64, i64) {
    sqlx::query_as(
        "select spent, held from budgets
         where org_id = $1 and period = 'month' and unit = 'nano_usd'",
    )
    .bind(owner.org())
    .fetch_one(app.db.pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn a_reservation_holds_the_most_and_settling_books_the_actual_and_gives_back_the_rest() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let hold = app.quotas.reserve(call(&app, &owner).await).await.unwrap();
    assert_eq!(spent_and_held(&app, &owner).await, (0, 600_000));
    app.assert_books_balance().await;
    assert!(app.quotas.settle(&hold, used(1234, 1)).await.unwrap());

    assert_eq!(spent_and_held(&app, &owner).await, (1234, 0));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_released_call_leaves_no_trace() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    let hold = app.quotas.reserve(call(&app, &owner).await).await.unwrap();
    assert!(app.quotas.release(&hold).await.unwrap());

    assert_eq!(spent_and_held(&app, &owner).await, (0, 0));
    assert_eq!(owner.get("/v1/usage").await.ok()["total"]["calls"], 0);
    app.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_settled_once_however_often_and_by_whomever() {
    let app = TestApp::start_with(|settings| settings.quotas.ai_hold_seconds = 1).await;
    let owner = app.owner().await;
    use_up_the_plan(&app, &owner).await;
    give(&app, &owner, 10, "pack").await;
    let hold = app.quotas.reserve(call(&app, &owner).await).await.unwrap();
    app.advance(TimeDelta::seconds(2));

    let settles = (0..20).map(|_| app.quotas.settle(&hold, used(5, 1)));
    let (settled, reaped) = tokio::join!(futures::future::join_all(settles), app.quotas.reap());

    let settled = settled.into_iter().filter(|it| *it.as_ref().unwrap()).count();
    assert_eq!(settled + reaped.unwrap(), 1);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn credits_given_for_the_same_cause_are_given_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;

    assert!(give(&app, &owner, 10, "stripe:pi_1").await);
    assert!(!give(&app, &owner, 10, "stripe:pi_1").await);

    assert_eq!(owner.get("/v1/quotas").await.ok()["credits"]["available"], 10);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_call_that_nobody_settles_ends_at_the_platforms_cost() {
    let app = TestApp::start_with(|settings| settings.quotas.ai_hold_seconds = 1).await;
    let owner = app.owner().await;
    use_up_the_plan(&app, &owner).await;
    give(&app, &owner, 3, "pack").await;
    app.quotas.reserve(call(&app, &owner).await).await.unwrap();

    assert_eq!(app.quotas.reap().await.unwrap(), 0, "it is still alive");
    app.advance(TimeDelta::seconds(2));
    assert_eq!(app.quotas.reap().await.unwrap(), 1);

    assert_eq!(owner.get("/v1/quotas").await.ok()["credits"]["available"], 3);
    let (outcome, payer, cost): (String, String, i64) = sqlx::query_as(
        "select outcome, paid_by, cost_nano_usd from usage_records order by created_at desc limit 1",
    )
    .fetch_one(app.db.pool())
    .await
    .unwrap();
    assert_eq!((outcome.as_str(), payer.as_str(), cost), ("unknown", "platform", 600_000));
    let platform: i64 =
        sqlx::query_scalar("select spent from budgets where scope = 'global' and period = 'day'")
            .fetch_one(app.db.pool())
            .await
            .unwrap();
    assert_eq!(platform, 600_000 + 5);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_call_draws_never_fewer_credits_than_its_cost_is_worth() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    use_up_the_plan(&app, &owner).await;
    give(&app, &owner, 10, "pack").await;
    // A credit covers 10 cents, and this may cost 25.
    let dear = Call { max_cost: NanoUsd::from_cents(25), ..call(&app, &owner).await };

    let hold = app.quotas.reserve(dear).await.unwrap();
    assert_eq!(hold.credits, 3);
    let cost = NanoUsd::from_cents(11);
    let credits = app.quotas.credits_for(1, cost);
    app.quotas.settle(&hold, Used { cost, ..used(0, credits) }).await.unwrap();

    assert_eq!(owner.get("/v1/quotas").await.ok()["credits"]["available"], 8);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn lapsed_credits_are_not_spent_and_those_that_lapse_first_go_first() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    use_up_the_plan(&app, &owner).await;
    let now = app.clock.now();
    for (id, expires_at) in
        [("late", now + TimeDelta::hours(2)), ("soon", now + TimeDelta::hours(1))]
    {
        let grant = NewGrant {
            org: owner.org(),
            source: GrantSource::Pack,
            amount: 1,
            expires_at: Some(expires_at),
            external_id: id.to_owned(),
        };
        let mut tx = app.db.begin().await.unwrap();
        grant.give(&mut tx, now).await.unwrap();
        tx.commit().await.unwrap();
    }

    let hold = app.quotas.reserve(call(&app, &owner).await).await.unwrap();
    app.quotas.settle(&hold, used(1, 1)).await.unwrap();
    let first: String = sqlx::query_scalar("select external_id from grants where spent = 1")
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    assert_eq!(first, "soon");

    app.advance(TimeDelta::hours(3));
    let refused = app.quotas.reserve(call(&app, &owner).await).await;
    // Unless the test runs over midnight, when the plan includes calls again.
    if let Err(Error::Refused { refusal, .. }) = refused {
        assert!(matches!(refusal, Refusal::IncludedExhausted(_)), "{refusal:?}");
    } else {
        assert_ne!(app.clock.now().date_naive(), now.date_naive());
    }
    app.assert_books_balance().await;
}

#[tokio::test]
async fn a_deadlock_is_tried_again_and_reserves_once() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    // Fails the first insert of a hold, as a lost deadlock does; a sequence survives the rollback.
    sqlx::raw_sql(
        "create sequence attempts;
         create function lose_once() returns trigger language plpgsql as $$
         begin
             if nextval('attempts') = 1 then raise exception 'deadlock' using errcode = '40P01'; end if;
             return new;
         end $$;
         create trigger lose_once before insert on holds for each row execute function lose_once();",
    )
    .execute(app.db.pool())
    .await
    .unwrap();

    app.quotas.reserve(call(&app, &owner).await).await.unwrap();

    let holds: i64 =
        sqlx::query_scalar("select count(*) from holds").fetch_one(app.db.pool()).await.unwrap();
    assert_eq!(holds, 1);
    app.assert_books_balance().await;
}

#[tokio::test]
async fn the_failure_of_one_call_is_not_the_failure_of_those_beside_it() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "alter table holds add constraint poison check (org_id <> '{}')",
        theirs.org()
    )))
    .execute(app.db.pool())
    .await
    .unwrap();
    let mut calls = Vec::new();
    for _ in 0..5 {
        calls.push(call(&app, &ours).await);
        calls.push(call(&app, &theirs).await);
    }

    let results =
        futures::future::join_all(calls.into_iter().map(|it| app.quotas.reserve(it))).await;

    assert_eq!(results.iter().filter(|it| it.is_ok()).count(), 5);
    assert!(results.iter().all(|it| matches!(it, Ok(_) | Err(Error::Database(_)))));
    app.assert_books_balance().await;
}

#[tokio::test]
async fn the_ledger_cannot_be_rewritten_even_by_its_owner() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    give(&app, &owner, 10, "pack").await;

    for statement in [
        "update ledger_entries set amount = 1",
        "delete from ledger_entries",
        "truncate ledger_entries",
    ] {
        let error = sqlx::query(statement).execute(app.db.pool()).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{statement}: {error}");
    }
}
