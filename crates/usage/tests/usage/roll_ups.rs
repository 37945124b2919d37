use chrono::TimeDelta;
use db::Tx;
use kernel::{Id, Org};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use sqlx::PgConnection;
use testing::TestApp;
use usage::{Bucket, Outcome, Payer, Report, ReportQuery};

use crate::{call, record::Record, roll_up_all, total, write};

#[derive(Clone, Debug)]
enum Step {
    /// A transaction writes a call, and stays open.
    Begin { minutes_ago: i64, model: usize, unknown: bool },
    /// One of the open transactions commits.
    Commit(usize),
    /// One of them does not.
    Abort(usize),
    /// The roll-up runs.
    RollUp,
    /// It runs, and its process dies before the commit.
    Crash,
    /// Everything is added up again.
    Rebuild,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let begin = (0..3000_i64, 0..3_usize, any::<bool>());
    let step = prop_oneof![
        4 => begin.prop_map(|(minutes_ago, model, unknown)| Step::Begin { minutes_ago, model, unknown }),
        3 => any::<usize>().prop_map(Step::Commit),
        1 => any::<usize>().prop_map(Step::Abort),
        2 => Just(Step::RollUp),
        1 => Just(Step::Crash),
        1 => Just(Step::Rebuild),
    ];
    proptest::collection::vec(step, 1..40)
}

/// What the report for `org` says: calls and cost.
async fn reported(app: &TestApp, org: Id<Org>, group_by: &str, tz: &str) -> (i64, i64) {
    let mut tx = app.db.tenant(org).await.unwrap();
    let from = app.clock.now() - TimeDelta::days(7);
    let query = ReportQuery {
        from: Some(from.into()),
        tz: Some(tz.to_owned()),
        bucket: Some(Bucket::Day),
        group_by: group_by.into(),
        ..Default::default()
    };
    let report = Report::of(&mut tx, org, &query, app.clock.now()).await.unwrap();
    let total = report.split.total;
    let groups: i64 = report.groups.iter().map(|group| group.totals.calls).sum();
    assert_eq!(groups, total.calls);
    (total.calls, total.cost_nano_usd.0)
}

async fn run(app: &TestApp, org: Id<Org>, steps: Vec<Step>) {
    let mut open: Vec<(Tx, i64)> = Vec::new();
    let mut expected = (0, 0);
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Begin { .. } if open.len() == 4 => {}
            Step::Begin { minutes_ago, model, unknown } => {
                let mut record = call(app, org, TimeDelta::minutes(minutes_ago));
                record.model = format!("model-{model}");
                record.cost_nano_usd.0 = 1 << (number % 40);
                if unknown {
                    (record.outcome, record.paid_by) = (Outcome::Unknown, Payer::Platform);
                }
                let mut tx = app.db.begin().await.unwrap();
                Record::insert_all(&mut tx, std::slice::from_ref(&record)).await.unwrap();
                open.push((tx, record.cost_nano_usd.0));
            }
            Step::Commit(_) | Step::Abort(_) if open.is_empty() => {}
            Step::Commit(which) => {
                let (tx, cost) = open.swap_remove(which % open.len());
                tx.commit().await.unwrap();
                expected = (expected.0 + 1, expected.1 + cost);
            }
            Step::Abort(which) => {
                let (tx, _) = open.swap_remove(which % open.len());
                tx.rollback().await.unwrap();
            }
            Step::RollUp | Step::Crash | Step::Rebuild => {
                let mut tx = app.db.begin().await.unwrap();
                match step {
                    Step::Rebuild => usage::rebuild(&mut tx).await.map(drop).unwrap(),
                    // A part of it may be left to the next run.
                    _ => usage::roll_up(&mut tx, 1 << (number % 8)).await.map(drop).unwrap(),
                }
                match step {
                    Step::Crash => tx.rollback().await.unwrap(),
                    _ => tx.commit().await.unwrap(),
                }
            }
        }
        for (by, tz) in
            [("model", "UTC"), ("user,model", "Asia/Kathmandu"), ("model", "Europe/Berlin")]
        {
            assert_eq!(reported(app, org, by, tz).await, expected, "{by} in {tz}");
        }
    }
    drop(open);
    assert_eq!(usage::violations(app.db.pool()).await.unwrap(), []);
}

#[test]
fn reports_are_exact_whatever_the_order_of_commits_and_crashes() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let app = runtime.block_on(TestApp::start());
    let config = Config { cases: 60, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&steps(), |steps| {
            runtime.block_on(async {
                let owner = app.owner().await;
                run(&app, owner.org(), steps).await;
            });
            Ok(())
        })
        .unwrap();
    runtime.block_on(roll_up_all(&app));
}

#[tokio::test]
async fn a_call_that_commits_after_later_ones_were_rolled_up_is_not_lost() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let mut slow = app.db.begin().await.unwrap();
    Record::insert_all(&mut slow, &[call(&app, owner.org(), TimeDelta::minutes(30))])
        .await
        .unwrap();
    write(&app, &[call(&app, owner.org(), TimeDelta::zero())]).await;

    let mut tx = app.db.begin().await.unwrap();
    usage::roll_up(&mut tx, i64::MAX).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(total(&owner, "").await["calls"], 1, "the newer call is seen at once");
    slow.commit().await.unwrap();

    assert_eq!(total(&owner, "").await["calls"], 2);
    roll_up_all(&app).await;
    assert_eq!(total(&owner, "").await["calls"], 2);
}

#[tokio::test]
async fn a_wrong_roll_up_is_found_and_mended() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    write(&app, &[call(&app, owner.org(), TimeDelta::zero())]).await;
    roll_up_all(&app).await;

    sqlx::query("update usage_rollups set cost_nano_usd = 1 where detail and grain = 15")
        .execute(app.db.pool())
        .await
        .unwrap();
    assert_eq!(usage::violations(app.db.pool()).await.unwrap().len(), 1);
    let mut tx = app.db.begin().await.unwrap();
    usage::rebuild(&mut tx).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(usage::violations(app.db.pool()).await.unwrap(), []);
    assert_eq!(total(&owner, "group_by=user").await["cost_nano_usd"], 4_500);
}

#[tokio::test]
async fn the_roll_up_runs_by_the_clock() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    write(&app, &[call(&app, owner.org(), TimeDelta::zero())]).await;
    let add = "select from graphile_worker.add_job('usage.roll_up', '{\"job\": {}}')";

    let rolled_up = async || -> bool {
        sqlx::query(add).execute(app.db.pool()).await.unwrap();
        app.run_jobs().await;
        let exists = "select exists (select from usage_rollups)";
        sqlx::query_scalar(exists).fetch_one(app.db.pool()).await.unwrap()
    };

    while !rolled_up().await {}
    let again = "select count(*) from graphile_worker.jobs
                 where key = 'usage.roll_up: again' and run_at between now() and now() + interval '5 s'";
    let again: i64 = sqlx::query_scalar(again).fetch_one(app.db.pool()).await.unwrap();
    assert_eq!(again, 1, "while calls end it runs every few seconds");
}

/// Thousands of calls within the last month, nine of ten of one org, each of the others with few.
async fn write_many(app: &TestApp, hot: Id<Org>, others: &[Id<Org>]) {
    sqlx::query(
        "insert into usage_records (
             id, org_id, operation, provider, model, price_id, outcome, paid_by, input_tokens,
             cached_input_tokens, output_tokens, images, estimated, cost_nano_usd, credits,
             reserved_at, created_at)
         select gen_random_uuid(), case when n % 10 > 0 then $1 else $2[1 + n / 10 % cardinality($2)] end,
                'chat', 'openai', 'model-' || n % 8, gen_random_uuid(), 'succeeded', 'plan', 10, 0, 5, 0,
                false, 4500, 0, at, at
         from generate_series(1, 20000) n, lateral (select $3 - n * interval '2 minutes' as at) at",
    )
    .bind(hot)
    .bind(others)
    .bind(app.clock.now())
    .execute(app.db.pool())
    .await
    .unwrap();
}

/// What the session has read of a kind of table: rows by scanning it, rows by its indexes.
async fn read(db: &mut PgConnection, tables: &str) -> (i64, i64) {
    sqlx::query_as(
        "select coalesce(sum(seq_tup_read), 0)::bigint, coalesce(sum(idx_tup_fetch), 0)::bigint
         from pg_stat_xact_user_tables where starts_with(relname, $1)",
    )
    .bind(tables)
    .fetch_one(db)
    .await
    .unwrap()
}

#[tokio::test]
async fn reports_read_few_lines_and_scan_no_table_however_unequal_orgs_are() {
    let app = TestApp::start().await;
    let (hot, others) = (app.owner().await, [Id::new(), Id::new(), Id::new()]);
    write_many(&app, hot.org(), &others).await;
    roll_up_all(&app).await;
    for table in ["usage_rollups", "usage_records"] {
        let analyze = sqlx::AssertSqlSafe(format!("vacuum analyze {table}"));
        sqlx::raw_sql(analyze).execute(app.db.pool()).await.unwrap();
    }
    let month = |tz: &str| ReportQuery {
        from: Some((app.clock.now() - TimeDelta::days(28)).into()),
        tz: Some(tz.to_owned()),
        bucket: Some(Bucket::Day),
        group_by: "model".into(),
        ..Default::default()
    };
    for (org, tz, most) in [
        (Some(hot.org()), "UTC", 500),
        (Some(hot.org()), "Europe/Berlin", 6_000),
        (Some(others[0]), "Asia/Kolkata", 1_500),
        // So few lines of everybody that whole days of them are hardly worth an index.
        (None, "UTC", 6_000),
    ] {
        let mut tx = match org {
            Some(org) => app.db.tenant(org).await.unwrap(),
            None => app.db.begin().await.unwrap(),
        };
        // The session may have read before, and not reported it yet.
        let lines = read(&mut tx, "usage_rollups").await;
        let calls = read(&mut tx, "usage_records").await;
        let report = match org {
            Some(org) => Report::of(&mut tx, org, &month(tz), app.clock.now()).await.unwrap(),
            None => Report::of_platform(&mut tx, &month(tz), app.clock.now()).await.unwrap(),
        };
        assert!(report.split.total.calls > 600, "{org:?}");
        let lines_after = read(&mut tx, "usage_rollups").await;
        let calls_after = read(&mut tx, "usage_records").await;
        assert_eq!((lines_after.0, calls_after.0), (lines.0, calls.0), "{org:?} {tz} scans");
        assert!(lines_after.1 - lines.1 <= most, "{org:?} {tz}: {lines:?} {lines_after:?}");
        // Of everybody's calls those of the newest pages, which no index tells apart yet.
        let newest = if org.is_none() { 128 * 40 } else { 0 };
        assert!(calls_after.1 - calls.1 <= newest, "{org:?} {tz}: {calls:?} {calls_after:?}");
    }
}
