//! Limits that hold across instances and restarts.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use futures::future::join_all;
use kernel::Clock;
use rate_limit::{Config, Durable, Quota, Switch};
use testing::TestApp;

const FIVE: Quota = Quota::per_minute(5);

fn clock() -> Clock {
    Clock::frozen_at(DateTime::UNIX_EPOCH)
}

fn durable(app: &TestApp, clock: &Clock) -> Durable {
    Durable::new(
        app.db.clone(),
        clock.clone(),
        &Config { rate_limits: Switch::On, redis_url: None, redis_timeout_ms: 50 },
    )
}

/// What `Retry-After` says, or 0 if the attempt passed.
async fn wait(durable: &Durable, key: &str, quota: Quota) -> u64 {
    match durable.check("login", key, quota).await {
        Ok(()) => 0,
        Err(problem) => {
            assert_eq!((problem.status.as_u16(), problem.code), (429, "rate_limited"));
            let response = axum::response::IntoResponse::into_response(problem);
            response.headers()["retry-after"].to_str().unwrap().parse().unwrap()
        }
    }
}

#[tokio::test]
async fn instances_count_together_however_many_attempts_come_at_once() {
    let app = TestApp::start().await;
    let clock = clock();
    let instances = [durable(&app, &clock), durable(&app, &clock)];
    let attempts = (0..60).map(|n| wait(&instances[n % 2], "ip:203.0.113.7", FIVE));
    let waits = join_all(attempts).await;
    assert_eq!(waits.iter().filter(|wait| **wait == 0).count(), 5, "{waits:?}");
}

#[tokio::test]
async fn a_refused_attempt_is_told_when_the_next_one_passes_and_costs_nothing() {
    let app = TestApp::start().await;
    let clock = clock();
    let durable = durable(&app, &clock);
    let mut waits = Vec::new();
    for advance in [0, 0, 0, 0, 0, 0, 0, 11, 1, 0, 12] {
        clock.advance(TimeDelta::seconds(advance));
        waits.push(wait(&durable, "ip:203.0.113.7", FIVE).await);
    }
    assert_eq!(waits, [0, 0, 0, 0, 0, 12, 12, 1, 0, 12, 0]);
}

#[tokio::test]
async fn time_without_attempts_saves_up_no_more_than_one_quota() {
    let app = TestApp::start().await;
    let clock = clock();
    let durable = durable(&app, &clock);
    wait(&durable, "ip:203.0.113.7", FIVE).await;
    clock.advance(TimeDelta::hours(1));
    let mut waits = Vec::new();
    for _ in 0..6 {
        waits.push(wait(&durable, "ip:203.0.113.7", FIVE).await);
    }
    assert_eq!(waits, [0, 0, 0, 0, 0, 12]);
}

#[tokio::test]
async fn a_quota_that_does_not_divide_its_period_is_met_exactly() {
    let app = TestApp::start().await;
    let clock = clock();
    let durable = durable(&app, &clock);
    let seven = Quota { count: 7, per: Duration::from_secs(1) };
    let mut waits = Vec::new();
    for _ in 0..8 {
        waits.push(wait(&durable, "ip:203.0.113.7", seven).await);
    }
    assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 1]);
    clock.advance(TimeDelta::seconds(1));
    assert_eq!(wait(&durable, "ip:203.0.113.7", seven).await, 0);
}

#[tokio::test]
async fn another_key_and_another_policy_are_counted_apart() {
    let app = TestApp::start().await;
    let durable = durable(&app, &clock());
    let once = Quota::per_minute(1);
    for key in ["ip:203.0.113.7", "ip:203.0.113.8"] {
        assert_eq!(wait(&durable, key, once).await, 0);
        assert_eq!(wait(&durable, key, once).await, 60);
    }
    assert!(durable.check("reset", "ip:203.0.113.7", once).await.is_ok());
}

#[tokio::test]
async fn only_rows_that_say_nothing_are_purged() {
    let app = TestApp::start().await;
    let clock = clock();
    let durable = durable(&app, &clock);
    wait(&durable, "one attempt", FIVE).await;
    wait(&durable, "two attempts", FIVE).await;
    wait(&durable, "two attempts", FIVE).await;

    clock.advance(TimeDelta::seconds(12));
    durable.purge().await.unwrap();
    let left: Vec<String> =
        sqlx::query_scalar("select key from rate_limits where key like 'login:%'")
            .fetch_all(app.db.pool())
            .await
            .unwrap();
    assert_eq!(left, ["login:two attempts"]);
}

#[tokio::test]
async fn without_postgres_no_attempt_passes() {
    let app = TestApp::start().await;
    let durable = durable(&app, &clock());
    app.db.pool().close().await;
    let problem = durable.check("login", "ip:203.0.113.7", FIVE).await.unwrap_err();
    assert_eq!(problem.status.as_u16(), 503);
}

#[tokio::test]
async fn switched_off_attempts_are_not_counted() {
    let app = TestApp::start().await;
    let durable = Durable::new(
        app.db.clone(),
        clock(),
        &Config { rate_limits: Switch::Off, redis_url: None, redis_timeout_ms: 50 },
    );
    for _ in 0..10 {
        assert_eq!(wait(&durable, "ip:203.0.113.7", FIVE).await, 0);
    }
}
