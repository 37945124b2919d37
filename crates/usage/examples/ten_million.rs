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
    for zone in ["UTC", "Europe/Berlin"] {
        for (name, number) in [("an org with half of them", 1), ("one of the others", 2)] {
            let org = Id::<Org>::from(Uuid::from_u128(number));
            for by in ["model", "user,model"] {
                show(
                    &format!("{name}, {zone}, by day, {by}"),
                    measure(&db, Some(org), zone, by, now).await?,
                );
            }
        }
        show(
            &format!("everybody, {zone}, by day, model"),
            measure(&db, None, zone, "model", now).await?,
        );
    }
    Ok(())
}

fn show(what: &str, times: Vec<Duration>) {
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    println!("{what}: p50 {:.1?}, p95 {:.1?}", at(50), at(95));
}

/// Ids are numbers, so that a statement can make them.
async fn load(pool: &PgPool, calls: i64, now: DateTime<Utc>) -> anyhow::Result<()> {
    let started = Instant::now();
    sqlx::query(
        "insert into orgs (id, name, created_at)
         select lpad(to_hex(n), 32, '0')::uuid, 'org', $1 from generate_series(1, 1000) n",
    )
    .bind(now)
    .execute(pool)
    .await?;
    // A hundred transactions, as if the calls had ended one after the other.
    for part in 0..100 {
        let mut tx = pool.begin().await?;
        sqlx::query("set local statement_timeout = 0").execute(&mut *tx).await?;
        sqlx::query(
            "insert into usage_records (
                 id, org_id, user_id, operation, provider, model, price_id, outcome, paid_by, input_tokens,
                 cached_input_tokens, output_tokens, images, estimated, cost_nano_usd, credits, reserved_at,
                 created_at)
             select lpad(to_hex(n), 32, '0')::uuid,
                    lpad(to_hex(case when n % 2 = 0 then 1 else 2 + n / 2 % 999 end), 32, '0')::uuid,
                    lpad(to_hex(1 + n / 2 % 20), 32, '0')::uuid,
                    'chat', 'openai', 'model-' || n / 3 % 8, gen_random_uuid(),
                    case when n % 50 = 7 then 'partial' else 'succeeded' end,
                    case when n % 3 = 0 then 'credits' else 'plan' end,
                    1000, 0, 200, 0, false, 270000, 1, at, at
             from generate_series($1 * $3 / 100 + 1, ($1 + 1) * $3 / 100) n,
                  lateral (select $2 - interval '30 days' * ($3 - n) / $3 as at) at",
        )
        .bind(i64::from(part))
        .bind(now)
        .bind(calls)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
    }
    println!("{calls} calls loaded in {:?}", started.elapsed());
    Ok(())
}

async fn roll_up(db: &Db) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut lines = 0;
    // Nothing is certain to be over while an older transaction of the cluster, such as autovacuum's, is not.
    while sqlx::query_scalar("select exists (select from usage_fresh)").fetch_one(db.pool()).await?
    {
        let mut tx = db.begin().await?;
        sqlx::query("set local statement_timeout = 0").execute(&mut *tx).await?;
        lines += usage::roll_up(&mut tx, 1).await?.lines;
        tx.commit().await?;
    }
    sqlx::query("vacuum analyze usage_rollups").execute(db.pool()).await?;
    sqlx::query("vacuum analyze usage_records").execute(db.pool()).await?;
    println!("rolled up, {lines} lines changed, in {:?}", started.elapsed());
    Ok(())
}

async fn measure(
    db: &Db,
    org: Option<Id<Org>>,
    zone: &str,
    by: &str,
    now: DateTime<Utc>,
) -> anyhow::Result<Vec<Duration>> {
    let query = ReportQuery {
        from: Some((now - TimeDelta::days(30)).into()),
        tz: Some(zone.to_owned()),
        bucket: Some(Bucket::Day),
        group_by: by.to_owned(),
        ..ReportQuery::default()
    };
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let started = Instant::now();
        if let Some(org) = org {
            let mut tx = db.tenant(org).await?;
            Report::of(&mut tx, org, &query, now).await?;
        } else {
            let mut connection = db.pool().acquire().await?;
            Report::of_platform(&mut connection, &query, now).await?;
        }
        times.push(started.elapsed());
    }
    times.sort();
    Ok(times)
}
