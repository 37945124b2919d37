use std::sync::Arc;

use jobs::{Enqueue, Job, Lease, Registry, instances};
use serde::{Deserialize, Serialize};
use testing::Database;
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};

use crate::{
    enqueue_now,
    support::{PATIENCE, Running, Wait, busy, config, next, pause},
};

#[tokio::test]
async fn a_worker_that_comes_back_does_not_complete_a_job_given_to_another() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let (worker, _started, go) = busy(&db).await;

    // What a rescue and another worker do while this one is asleep.
    sqlx::query("update graphile_worker._private_jobs set locked_by = 'another', attempts = 2")
        .execute(&db)
        .await
        .unwrap();
    go.notify_one();
    worker.stop().await;

    let job: (Option<String>, i16, Option<String>) =
        sqlx::query_as("select locked_by, attempts, last_error from graphile_worker._private_jobs")
            .fetch_one(&db)
            .await
            .unwrap();
    assert_eq!(job, (Some("another".into()), 2, None));
}

#[tokio::test]
async fn an_attempt_does_not_complete_the_next_one_of_the_same_worker() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let (worker, _started, go) = busy(&db).await;

    sqlx::query("update graphile_worker._private_jobs set attempts = 2")
        .execute(&db)
        .await
        .unwrap();
    go.notify_one();
    worker.stop().await;

    let attempts: Vec<i16> =
        sqlx::query_scalar("select attempts from graphile_worker._private_jobs")
            .fetch_all(&db)
            .await
            .unwrap();
    assert_eq!(attempts, [2]);
}

#[tokio::test]
async fn a_worker_that_gets_its_job_back_does_not_run_it_twice_at_once() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let (worker, mut started, go) = busy(&db).await;

    // What a rescue does while the worker is asleep.
    sqlx::query(
        "with rescued as (
             update graphile_worker._private_jobs set locked_by = null, locked_at = null, run_at = now())
         select pg_notify('jobs:insert', '')",
    )
    .execute(&db)
    .await
    .unwrap();
    let failed = async || -> Option<String> {
        let failed = "select last_error from graphile_worker._private_jobs where locked_at is null";
        sqlx::query_scalar(failed).fetch_optional(&db).await.unwrap().flatten()
    };
    let given_back = timeout(PATIENCE, async {
        loop {
            if let Some(error) = failed().await {
                return error;
            }
            pause().await;
        }
    });
    let error = given_back.await.expect("the second attempt fails");
    assert!(error.contains("an earlier attempt still runs"), "{error}");
    assert!(started.try_recv().is_err(), "the job was begun again");

    // Nor has the first a say in what is now to be tried again.
    go.notify_one();
    worker.stop().await;
    assert_eq!(failed().await, Some(error));
}

#[tokio::test]
async fn a_job_that_was_replaced_while_it_ran_leaves_nothing_behind() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let (start, mut started) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let registry = Registry::default().with::<Wait>((start, go.clone()));
    let worker = Running::start(&db, &registry, &[], config(&[]));
    let mut connection = db.acquire().await.unwrap();
    for number in 1..=2 {
        Enqueue::new(&Wait(number)).key("test/wait").send(&mut connection).await.unwrap();
        assert_eq!(next(&mut started).await, number);
    }
    go.notify_waiters();
    worker.stop().await;

    let rows: i64 = sqlx::query_scalar("select count(*) from graphile_worker._private_jobs")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn a_job_that_takes_longer_than_a_silent_worker_is_believed_runs_once() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let (start, mut started) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let registry = Registry::default().with::<Wait>((start, go.clone()));
    let impatient = || config(&["--jobs-rescue-after-seconds=4"]);
    let workers = [(); 2].map(|()| Running::start(&db, &registry, &[], impatient()));
    enqueue_now(&db, &Wait(1)).await;
    next(&mut started).await;

    // Both have given signs of life for long enough to have been declared dead twice.
    let long = async {
        loop {
            let seen = instances(&db).await.unwrap();
            let age = |it: &jobs::Instance| (it.heard_at - it.started_at).num_milliseconds();
            if seen.len() == 2 && seen.iter().all(|it| age(it) > 9000) {
                return seen.iter().map(|it| it.jobs).sum::<i64>();
            }
            pause().await;
        }
    };
    assert_eq!(timeout(PATIENCE, long).await.expect("the workers live"), 1);
    assert!(started.try_recv().is_err(), "the job was begun again");
    go.notify_one();
    for worker in workers {
        worker.stop().await;
    }
    assert!(started.try_recv().is_err(), "the job was begun again");
    assert_eq!(instances(&db).await.unwrap(), [], "a worker that stopped takes its leave");
}

/// Tells which attempt it is, and fails the first.
#[derive(Serialize, Deserialize)]
struct Who;

impl Job for Who {
    const NAME: &'static str = "test/who";
    type Context = mpsc::UnboundedSender<Lease>;

    async fn run(self, told: Self::Context) -> anyhow::Result<()> {
        let lease = jobs::running().expect("runs as a job");
        let first = lease.attempt == 1;
        told.send(lease)?;
        anyhow::ensure!(!first, "try again");
        Ok(())
    }
}

#[tokio::test]
async fn a_job_knows_which_attempt_it_is() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let (tell, mut told) = mpsc::unbounded_channel();
    let registry = Registry::default().with::<Who>(tell);
    enqueue_now(&db, &Who).await;
    for _ in 0..2 {
        jobs::run_due(&db, &registry).await.unwrap();
        sqlx::query("update graphile_worker._private_jobs set run_at = now()")
            .execute(&db)
            .await
            .unwrap();
    }
    let (first, second) = (told.try_recv().unwrap(), told.try_recv().unwrap());
    assert_eq!((first.attempt, second.attempt), (1, 2));
    assert_eq!(first.job, second.job);
    assert!(jobs::running().is_none());
}
