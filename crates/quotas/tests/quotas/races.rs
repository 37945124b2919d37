//! Random races of two instances over one database. `QUOTAS_RACES` says how many; the seed is shown
//! when it fails, and `QUOTAS_SEED` plays it again.

use chrono::TimeDelta;
use futures::future::join_all;
use kernel::NanoUsd;
use quotas::{Call, Hold, NewBudget, Period, Quotas, Unit};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use testing::{Client, TestApp};

use crate::{call, give, used};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|it| it.parse().ok()).unwrap_or(default)
}

/// Calls on both instances at once; answers which were permitted where. Callers who are not patient
/// may go away while they wait.
async fn race(
    instances: &[Quotas; 2],
    call: &Call,
    calls: usize,
    random: &mut StdRng,
    patient: bool,
) -> Vec<(usize, Hold)> {
    let calls: Vec<_> = (0..calls)
        .map(|_| {
            let instance = random.random_range(0..2);
            let (quotas, call) = (instances[instance].clone(), call.clone());
            let reserving = tokio::spawn(async move { quotas.reserve(call).await });
            if !patient && random.random_range(0..6) == 0 {
                reserving.abort();
            }
            async move { Some((instance, reserving.await.ok()?.ok()?)) }
        })
        .collect();
    join_all(calls).await.into_iter().flatten().collect()
}

/// Ends a call in one of the ways in which calls end; or its owner dies.
async fn end(quotas: &Quotas, hold: &Hold, how: u32) {
    match how {
        0 => {}
        1 => quotas.release_soon(hold).await,
        2 => quotas.give_up_soon(hold).await,
        3 => assert!(quotas.settle(hold, used(1, 1)).await.unwrap()),
        _ => quotas.settle_soon(hold, used(1, 1)).await,
    }
}

async fn limit_to(app: &TestApp, owner: &Client, requests: i64) {
    let mut tx = app.db.begin().await.unwrap();
    let budget = NewBudget::limit(Some(owner.org()), Period::Day, Unit::Requests, requests);
    budget.set(&mut tx, app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_random_race_of_two_instances_passes_a_cap_and_none_stops_before_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let seed = number("QUOTAS_SEED", rand::rng().next_u64());
    eprintln!("QUOTAS_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let start = || Quotas::start(app.db.clone(), app.clock.clone(), &app.settings.quotas);
    let mut instances = [start(), start()];
    let call = Call { max_cost: NanoUsd(1), ..call(&app, &owner).await };
    sqlx::query("delete from budgets where kind = 'included'")
        .execute(app.db.pool())
        .await
        .unwrap();
    give(&app, &owner, 1_000_000, "pack").await;

    for _ in 0..number("QUOTAS_RACES", 1000) {
        app.advance(TimeDelta::days(1));
        let (limit, asked) = (random.random_range(0..16_usize), random.random_range(1..24));
        limit_to(&app, &owner, i64::try_from(limit).unwrap()).await;
        let patient = random.random_bool(0.7);
        let permitted = race(&instances, &call, asked, &mut random, patient).await;
        assert!(permitted.len() <= limit, "overspent");
        assert!(!patient || permitted.len() == limit.min(asked), "stopped before the cap");
        let ends: Vec<_> = permitted
            .iter()
            .map(|(instance, hold)| end(&instances[*instance], hold, random.random_range(0..8)))
            .collect();
        join_all(ends).await;
        if random.random_range(0..10) == 0 {
            // What the new one knows is nothing, and what the old one still does is done by itself.
            instances[random.random_range(0..2)] = start();
        }
    }
    for quotas in &instances {
        quotas.settled().await;
    }
    app.advance(TimeDelta::days(1));
    app.quotas.reap().await.unwrap();
    app.assert_books_balance().await;
}
