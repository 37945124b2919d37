use alerts::{Alerts, Limit, Rule};
use chrono::{DateTime, TimeDelta, Utc};
use egress::Egress;
use email::Mailer;
use futures::future::BoxFuture;
use kernel::Clock;
use sqlx::PgPool;
use testing::TestApp;

use crate::support::World;

/// What breaks each rule.
const BROKEN: &[(&str, &str)] = &[
    (
        "error_rate",
        "insert into alert_answers (minute, answers, errors) values (now(), 60, 20)",
    ),
    (
        "queue_age",
        "insert into graphile_worker._private_tasks (identifier) values ('test.unknown');
         insert into graphile_worker._private_jobs (task_id, payload, run_at, created_at)
         select id, '{}', now() - interval '1 hour', now() - interval '1 hour'
         from graphile_worker._private_tasks where identifier = 'test.unknown'",
    ),
    (
        "dead_letters",
        "insert into graphile_worker._private_jobs (task_id, payload, attempts, max_attempts)
         select id, '{}', 1, 1 from graphile_worker._private_tasks where identifier = 'jobs.upkeep'",
    ),
    (
        "failing_schedule",
        "insert into graphile_worker._private_known_crontabs (identifier, known_since) values ('a: * * * * *', now());
         insert into graphile_worker._private_jobs (task_id, payload, key, revision, run_at)
         select id, '{}', 'a: * * * * *', 6, now() + interval '1 minute'
         from graphile_worker._private_tasks where identifier = 'jobs.upkeep'",
    ),
    (
        "provider_drift",
        "insert into provider_costs (provider, model, day, cost_nano_usd, imported_at)
         values ('openai', 'gpt-4o', (now() at time zone 'UTC')::date - 2, 5, now())",
    ),
    (
        "stripe_lag",
        "insert into stripe_events (id, type, livemode, payload, received_at)
         values ('evt_1', 'charge.refunded', false, '{}', now() - interval '1 day')",
    ),
    (
        "backup_age",
        "insert into backups (id, started_at, finished_at, bytes, error)
         values (gen_random_uuid(), now() - interval '3 days', now() - interval '3 days', 1, null),
                (gen_random_uuid(), now(), now(), null, 'the disk is full')",
    ),
    (
        "late_deletions",
        "with gone as (
             insert into users (id, email, name, created_at)
             values (gen_random_uuid(), 'gone@example.com', 'Ada', now())
             returning id)
         insert into deletions (id, user_id, requested_at, due_at)
         select gen_random_uuid(), id, now() - interval '32 days', now() - interval '2 days' from gone",
    ),
    (
        "mail_bounces",
        "insert into emails (id, recipient, template, subject, status, created_at)
         select gen_random_uuid(), 'a@example.com', 't', 's',
                coalesce(('{bounced, bounced, complained, dead}'::text[])[n], 'sent'), now()
         from generate_series(1, 60) n",
    ),
];

#[tokio::test]
async fn each_rule_is_broken_by_what_it_watches_and_by_nothing_else() {
    for (rule, broken) in BROKEN {
        let world = World::start().await;
        // Postgres's clock is not the product's, which stands still.
        world.app.advance(Clock::System.now() - world.app.clock.now());
        world.evaluate().await;
        assert_eq!(open(&world).await, [""; 0], "before {rule} is broken");
        world.execute(broken).await;
        world.evaluate().await;
        assert_eq!(open(&world).await, [*rule]);
    }
}

async fn open(world: &World) -> Vec<String> {
    sqlx::query_scalar("select rule from alerts where resolved_at is null order by rule")
        .fetch_all(world.app.db.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn an_hour_that_costs_far_more_than_usual_breaks_a_rule() {
    let world = World::start().await;
    let spend = async |cents: i64, minutes: i64| {
        sqlx::query(
            "insert into usage_rollups
                 (org_id, detail, grain, slot, provider, model, operation, outcome, paid_by, calls, input_tokens,
                  cached_input_tokens, output_tokens, images, seconds, cost_nano_usd, credits)
             values ('00000000-0000-0000-0000-000000000000', false, 15, $1, 'openai', 'm', 'chat', 'succeeded',
                     'plan', 1, 0, 0, 0, 0, 0, $2, 0)",
        )
        .bind(world.app.clock.now() - TimeDelta::minutes(minutes))
        .bind(cents * 10_000_000)
        .execute(world.app.db.pool())
        .await
        .unwrap();
    };
    // In the seven days before, ten dollars for each hour, although there were calls in two of them only.
    for minutes in [90, 60 * 24] {
        spend(84 * 1000, minutes).await;
    }
    spend(4000, 15).await;
    world.evaluate().await;
    assert_eq!(open(&world).await, [""; 0], "four times the usual is not far more");
    spend(100, 30).await;
    world.evaluate().await;
    assert_eq!(open(&world).await, ["spend_anomaly"]);
}

#[tokio::test]
async fn fewer_workers_than_must_live_break_a_rule() {
    let usual = alerts::standard(&TestApp::start().await.settings.alerts, 1);
    let usual = usual.iter().find(|rule| rule.name == "stale_worker").unwrap().limit;
    assert_eq!(usual, Limit::AtLeast(2), "the one that looks is alive itself");

    let world = World::start_with(2).await;
    world
        .execute(
            "insert into graphile_worker._private_workers (id, last_heartbeat_at)
             values ('quick', now()), ('slow', now())",
        )
        .await;
    world.evaluate().await;
    assert_eq!(open(&world).await, [""; 0]);
    // What others do with one that is silent.
    world.execute("delete from graphile_worker._private_workers where id = 'slow'").await;
    world.evaluate().await;
    assert_eq!(open(&world).await, ["stale_worker"]);
}

fn broken_measure(_: PgPool, _: DateTime<Utc>) -> BoxFuture<'static, anyhow::Result<Option<i64>>> {
    Box::pin(async { anyhow::bail!("no such table") })
}

fn seven(_: PgPool, _: DateTime<Utc>) -> BoxFuture<'static, anyhow::Result<Option<i64>>> {
    Box::pin(async { Ok(Some(7)) })
}

#[tokio::test]
async fn a_rule_that_cannot_be_measured_says_nothing_of_the_others() {
    let world = World::start().await;
    let settings = &world.app.settings;
    let (db, clock) = (world.app.db.clone(), world.app.clock.clone());
    let url = settings.public_url();
    let mailer = Mailer::new(
        db.clone(),
        clock.clone(),
        &settings.email,
        url,
        settings.auth.secrets().cloned(),
    )
    .unwrap();
    let standard = alerts::standard(&settings.alerts, 1).swap_remove(0);
    let rule = |name, measure| Rule { name, measure, limit: Limit::AtMost(5), ..standard.clone() };
    let rules = vec![rule("broken", broken_measure), rule("yours", seven)];
    let egress = Egress::new(&settings.egress).unwrap();
    let alerts = Alerts::new(db.clone(), clock, mailer, egress, &settings.alerts, rules);

    world.queue_evaluation().await;
    jobs::run_due(db.pool(), &alerts::module(alerts).jobs).await.unwrap();
    assert_eq!(open(&world).await, ["yours"]);
    assert_eq!(world.receiver.kinds(), ["alert.firing"]);
}
