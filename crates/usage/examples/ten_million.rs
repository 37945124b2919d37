//! How long reports take over many calls: `cargo run --release -p usage --example ten_million`.
//!
//! Loads ten million calls (or as many as the first argument says) of the last 30 days, half of them of
//! one org, rolls them up, and prints how long reports of the hot org and of another take.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use db::Db;
use kernel::{Clock, Id, Org};
use sqlx::PgPool;
use testing::Database;
use usage::{Bucket, Report, ReportQuery};
use uuid::Uuid;

const RUNS: usize = 200;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let calls = std::env::args().nth(1).map_or(Ok(10_000_000), |calls| calls.parse::<i64>())?;
    let database = Database::new().await;
    let db = Db::new(database.pool.clone());
    let now = Clock::System.now();
    load(&database.pool, calls, now).await?;
    roll_up(&db).await?;
    for (name, number) in [("an org with half of them", 0), ("one of the others", 1)] {
        let org = Id::<Org>::from(Uuid::from_u128(number));
        for by in ["model", "user,model"] {
            let times = measure(&db, org, by, now).await?;
            let at = |part: usize| times[(times.len() - 1) * part / 100];
            println!("{name}, by day, {by}: p50 {:?}, p95 {:?}", at(50), at(95));
        }
    }
    Ok(())
}

/// Ids are numbers, so that a statement can make them.
async fn load(pool: &PgPool, calls: i64, now: DateTime<Utc>) -> anyhow::Result<()> {
    let started = Instant::now();
    sqlx::query(
        "insert into orgs (id, name, created_at)
         select lpad(to_hex(n), 32, '0')::uuid, 'org', $1 from generate_series(0, 999) n",
    )
    .bind(now)
    .execute(pool)
    .await?;
    sqlx::query(
        "insert into usage_records (
             id, org_id, user_id, operation, provider, model, price_id, outcome, paid_by, input_tokens,
             cached_input_tokens, output_tokens, images, estimated, cost_nano_usd, credits, reserved_at,
             created_at)
         select lpad(to_hex(n), 32, '0')::uuid,
                lpad(to_hex(case when n % 2 = 0 then 0 else 1 + n / 2 % 999 end), 32, '0')::uuid,
                lpad(to_hex(n / 2 % 20), 32, '0')::uuid,
                'chat', 'openai', 'model-' || n / 3 % 8, gen_random_uuid(),
                case when n % 50 = 7 then 'partial' else 'succeeded' end,
                case when n % 3 = 0 then 'credits' else 'plan' end,
                1000, 0, 200, 0, false, 270000, 1, at, at
         from generate_series(1, $1) n, lateral (select $2 - interval '30 days' * n / $1 as at) at",
    )
    .bind(calls)
    .bind(now)
    .execute(pool)
    .await?;
    println!("{calls} calls loaded in {:?}", started.elapsed());
    Ok(())
}

async fn roll_up(db: &Db) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut lines = 0;
    // Nothing is certain to be over while an older transaction of the cluster, such as autovacuum's, is not.
    while lines == 0 {
        let mut tx = db.begin().await?;
        sqlx::query("set local statement_timeout = 0").execute(&mut *tx).await?;
        lines = usage::roll_up(&mut tx).await?;
        tx.commit().await?;
    }
    sqlx::query("vacuum analyze usage_rollups").execute(db.pool()).await?;
    sqlx::query("vacuum analyze usage_records").execute(db.pool()).await?;
    println!("rolled up into {lines} lines in {:?}", started.elapsed());
    Ok(())
}

async fn measure(
    db: &Db,
    org: Id<Org>,
    by: &str,
    now: DateTime<Utc>,
) -> anyhow::Result<Vec<Duration>> {
    let query = ReportQuery {
        from: Some(now - TimeDelta::days(30)),
        bucket: Some(Bucket::Day),
        group_by: by.to_owned(),
        ..ReportQuery::default()
    };
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let started = Instant::now();
        let mut tx = db.tenant(org).await?;
        Report::of(&mut tx, org, &query, now).await?;
        times.push(started.elapsed());
    }
    times.sort();
    Ok(times)
}
