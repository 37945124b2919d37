use std::time::{Duration, Instant};

use jobs::{Job, Registry};
use sqlx::{AssertSqlSafe, ConnectOptions, PgPool, postgres::PgPoolOptions};
use testing::Database;
use tokio::sync::mpsc;

use crate::{
    enqueue_now,
    support::{Running, Tell, config, dead, listener, next},
};

const NEVER_LOOKS: &[&str] = &["--jobs-poll-interval-ms=3600000"];

#[tokio::test]
async fn a_worker_is_woken_by_a_new_job_mostly_within_50_ms() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let (tell, mut told) = mpsc::unbounded_channel();
    let registry = Registry::default().with::<Tell>(tell);
    let worker = Running::start(&db, &registry, &[], config(NEVER_LOOKS));
    listener(&db, None).await;

    // As quick as that whenever the machine has nothing else to do, which it may have for a while.
    let mut number = 0;
    for attempt in 1.. {
        let mut delays = Vec::new();
        for _ in 0..21 {
            enqueue_now(&db, &Tell(number)).await;
            let queued = Instant::now();
            assert_eq!(next(&mut told).await, number);
            delays.push(queued.elapsed());
            number += 1;
        }
        delays.sort();
        if delays[10] < Duration::from_millis(50) {
            break;
        }
        assert!(attempt < 200, "{delays:?}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_whose_listening_connection_is_lost_listens_again() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let (tell, mut told) = mpsc::unbounded_channel();
    let registry = Registry::default().with::<Tell>(tell);
    let worker = Running::start(&db, &registry, &[], config(NEVER_LOOKS));
    let lost = listener(&db, None).await;
    terminate(&db, "pid = $1", lost).await;
    listener(&db, Some(lost)).await;

    enqueue_now(&db, &Tell(1)).await;
    assert_eq!(next(&mut told).await, 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_job_whose_notification_is_lost_is_found_at_the_next_look() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let (tell, mut told) = mpsc::unbounded_channel();
    let registry = Registry::default().with::<Tell>(tell);
    let worker = Running::start(&db, &registry, &[], config(&["--jobs-poll-interval-ms=100"]));
    listener(&db, None).await;

    sqlx::query(
        "insert into graphile_worker._private_jobs (task_id, payload, max_attempts)
         select id, '{\"job\": 7}', 1 from graphile_worker._private_tasks where identifier = $1",
    )
    .bind(Tell::NAME)
    .execute(&db)
    .await
    .unwrap();
    assert_eq!(next(&mut told).await, 7);
    worker.stop().await;
}

#[tokio::test]
async fn workers_that_all_lose_the_database_at_once_work_on_when_it_is_back() {
    let database = Database::new().await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let registry = Registry::default().with::<Tell>(tell);
    // The test keeps one connection, whose process it knows.
    let options = || database.options.clone();
    let db = PgPoolOptions::new().max_connections(1).connect_lazy_with(options());
    let of_workers = PgPoolOptions::new().connect_lazy_with(options());
    let fast = || config(&["--jobs-poll-interval-ms=100"]);
    let workers = [(); 2].map(|()| Running::start(&of_workers, &registry, &[], fast()));
    listener(&db, None).await;

    for number in 0..50 {
        enqueue_now(&db, &Tell(number)).await;
        if number % 10 == 0 {
            let me: i32 =
                sqlx::query_scalar("select pg_backend_pid()").fetch_one(&db).await.unwrap();
            let name = options().get_database().unwrap().to_owned();
            let mut admin = options().database("postgres").connect().await.unwrap();
            let limit = |connections: i32| {
                AssertSqlSafe(format!("alter database {name} connection limit {connections}"))
            };
            sqlx::query(limit(0)).execute(&mut admin).await.unwrap();
            terminate(&db, "pid <> $1", me).await;
            // Ten times as long as they wait between two looks.
            tokio::time::sleep(Duration::from_secs(1)).await;
            sqlx::query(limit(-1)).execute(&mut admin).await.unwrap();
        }
    }
    let mut seen = std::collections::HashSet::new();
    while seen.len() < 50 {
        // One whose completion was lost may run twice; none may be missing.
        seen.insert(next(&mut told).await);
    }
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(dead(&db).await, []);
}

async fn terminate(db: &PgPool, which: &'static str, pid: i32) {
    let sql = format!(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and {which}"
    );
    sqlx::query(AssertSqlSafe(sql)).bind(pid).execute(db).await.unwrap();
}
