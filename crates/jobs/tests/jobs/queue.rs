use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use jobs::{Enqueue, Job, Registry, enqueue, run_due, stats};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use testing::Database;

use crate::{Fail, enqueue_now, support::dead};

/// What ran, in order.
#[derive(Clone, Default)]
pub(crate) struct Ran(pub(crate) Arc<Mutex<Vec<u32>>>);

impl Ran {
    pub(crate) fn take(&self) -> Vec<u32> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Note(pub(crate) u32);

impl Job for Note {
    const NAME: &'static str = "test/note";
    type Context = Ran;

    async fn run(self, ran: Ran) -> anyhow::Result<()> {
        ran.0.lock().unwrap().push(self.0);
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Panic;

impl Job for Panic {
    const NAME: &'static str = "test/panic";
    const MAX_ATTEMPTS: i16 = 3;
    type Context = ();

    async fn run(self, (): ()) -> anyhow::Result<()> {
        panic!("boom")
    }
}

/// Queues its successor under its own key while it runs.
#[derive(Serialize, Deserialize)]
struct Countdown(u32);

impl Job for Countdown {
    const NAME: &'static str = "test/countdown";
    type Context = (PgPool, Ran);

    async fn run(self, (db, ran): (PgPool, Ran)) -> anyhow::Result<()> {
        ran.0.lock().unwrap().push(self.0);
        if self.0 > 0 {
            let mut db = db.acquire().await?;
            Enqueue::new(&Countdown(self.0 - 1)).key("test/countdown").send(&mut db).await?;
        }
        Ok(())
    }
}

/// Moves every retry to now.
pub(crate) async fn skip_pauses(db: &PgPool) {
    sqlx::query("update graphile_worker._private_jobs set run_at = now()")
        .execute(db)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_job_is_visible_when_its_transaction_commits_and_not_before() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let ran = Ran::default();
    let registry = Registry::default().with::<Note>(ran.clone());
    // The first use of a job's name is a row, on which others would wait for the transaction.
    run_due(&db, &registry).await.unwrap();

    let mut tx = db.begin().await.unwrap();
    enqueue(&mut tx, &Note(1)).await.unwrap();
    run_due(&db, &registry).await.unwrap();
    assert!(ran.take().is_empty());

    tx.commit().await.unwrap();
    run_due(&db, &registry).await.unwrap();
    run_due(&db, &registry).await.unwrap();
    assert_eq!(ran.take(), [1]);
}

#[tokio::test]
async fn a_job_of_a_rolled_back_transaction_never_runs() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let ran = Ran::default();

    let mut tx = db.begin().await.unwrap();
    enqueue(&mut tx, &Note(1)).await.unwrap();
    tx.rollback().await.unwrap();

    run_due(&db, &Registry::default().with::<Note>(ran.clone())).await.unwrap();
    assert!(ran.take().is_empty());
}

#[tokio::test]
async fn a_failing_job_is_retried_and_becomes_a_dead_letter_at_its_ceiling() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let registry = Registry::default().with::<Fail>(());
    enqueue_now(&db, &Fail).await;

    for attempt in 1..=Fail::MAX_ATTEMPTS {
        assert_eq!(dead(&db).await, []);
        let failures = run_due(&db, &registry).await.unwrap();
        assert_eq!((failures.len(), failures[0].attempts), (1, attempt));
        skip_pauses(&db).await;
    }

    assert!(run_due(&db, &registry).await.unwrap().is_empty());
    let letters = dead(&db).await;
    assert_eq!((letters.len(), letters[0].attempts), (1, Fail::MAX_ATTEMPTS));
    assert_eq!(letters[0].name, Fail::NAME);
    let error = letters[0].last_error.as_deref().unwrap();
    assert!(error.contains("cannot send: no route"), "{error}");
    assert_eq!(stats(&db).await.unwrap().failed, 1);
}

#[tokio::test]
async fn a_retry_waits_and_retries_spread_out() {
    let database = Database::new().await;
    let db = database.pool.clone();
    for _ in 0..20 {
        enqueue_now(&db, &Fail).await;
    }
    let before: DateTime<Utc> = sqlx::query_scalar("select now()").fetch_one(&db).await.unwrap();
    run_due(&db, &Registry::default().with::<Fail>(())).await.unwrap();

    // None fails before they are run, and none is put off before it has failed.
    let pauses: Vec<(i64, i64)> = sqlx::query_as(
        "select (extract(epoch from run_at - $1) * 1000)::bigint,
                (extract(epoch from run_at - updated_at) * 1000)::bigint
         from graphile_worker.jobs",
    )
    .bind(before)
    .fetch_all(&db)
    .await
    .unwrap();
    // The library waits e seconds after the first attempt; we add up to a half.
    let shortest = pauses.iter().map(|it| it.0).min().unwrap();
    let of_us = || pauses.iter().map(|it| it.1);
    let (least, most) = (of_us().min().unwrap(), of_us().max().unwrap());
    assert!(shortest > 2000 && most < 4200, "{pauses:?}");
    assert!(most - least > 500, "{pauses:?}");
}

/// Fails more often than anybody waits for.
#[derive(Serialize, Deserialize)]
struct Stubborn;

impl Job for Stubborn {
    const NAME: &'static str = "test/stubborn";
    const MAX_ATTEMPTS: i16 = 30;
    type Context = ();

    async fn run(self, (): ()) -> anyhow::Result<()> {
        anyhow::bail!("no")
    }
}

#[tokio::test]
async fn pauses_grow_up_to_a_ceiling() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let registry = Registry::default().with::<Stubborn>(());
    enqueue_now(&db, &Stubborn).await;
    let mut pauses = Vec::new();
    for _ in 1..=15 {
        jobs::run_due(&db, &registry).await.unwrap();
        let pause = "select extract(epoch from run_at - updated_at)::float8 from graphile_worker._private_jobs";
        pauses.push(sqlx::query_scalar::<_, f64>(pause).fetch_one(&db).await.unwrap());
        skip_pauses(&db).await;
    }
    for (attempt, pause) in (1..).zip(&pauses) {
        let shortest = f64::from(attempt).exp().min(7200.0);
        // A busy machine may take some seconds from the failure to the pause.
        let fits = *pause > shortest * 0.98 - 5.0 && *pause < shortest * 1.51;
        assert!(fits, "the pause after attempt {attempt} is {pause} s");
    }
}

#[tokio::test]
async fn a_job_that_always_panics_becomes_a_dead_letter() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let registry = Registry::default().with::<Panic>(());
    enqueue_now(&db, &Panic).await;
    for _ in 0..Panic::MAX_ATTEMPTS {
        assert_eq!(jobs::run_due(&db, &registry).await.unwrap().len(), 1);
        skip_pauses(&db).await;
    }
    assert_eq!(jobs::run_due(&db, &registry).await.unwrap(), []);
    assert_eq!(dead(&db).await[0].name, Panic::NAME);
}

#[tokio::test]
async fn a_panic_is_retried_like_an_error() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let ran = Ran::default();
    let registry = Registry::default().with::<Panic>(()).with::<Note>(ran.clone());
    enqueue_now(&db, &Panic).await;
    enqueue_now(&db, &Note(1)).await;

    let failures = run_due(&db, &registry).await.unwrap();
    assert_eq!((failures.len(), ran.take()), (1, vec![1]));
    assert!(failures[0].last_error.contains("boom"), "{failures:?}");

    skip_pauses(&db).await;
    assert_eq!(run_due(&db, &registry).await.unwrap()[0].attempts, 2);
}

#[tokio::test]
async fn waiting_jobs_with_one_key_are_one_job() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let ran = Ran::default();
    let mut connection = db.acquire().await.unwrap();
    for number in 1..=3 {
        Enqueue::new(&Note(number)).key("test/note:x").send(&mut connection).await.unwrap();
    }
    Enqueue::new(&Note(4)).key("test/note:y").send(&mut connection).await.unwrap();

    run_due(&db, &Registry::default().with::<Note>(ran.clone())).await.unwrap();
    assert_eq!(ran.take(), [3, 4]);
}

#[tokio::test]
async fn a_job_queued_while_its_namesake_runs_follows_it() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let ran = Ran::default();
    let registry = Registry::default().with::<Countdown>((db.clone(), ran.clone()));
    let mut connection = db.acquire().await.unwrap();
    Enqueue::new(&Countdown(2)).key("test/countdown").send(&mut connection).await.unwrap();

    run_due(&db, &registry).await.unwrap();
    assert_eq!(ran.take(), [2, 1, 0]);
    assert_eq!(dead(&db).await, []);
}

#[tokio::test]
async fn a_dead_letter_whose_key_is_queued_again_is_no_longer_one() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let registry = Registry::default().with::<Fail>(());
    let mut connection = db.acquire().await.unwrap();
    Enqueue::new(&Fail).key("test/fail").send(&mut connection).await.unwrap();
    for _ in 0..Fail::MAX_ATTEMPTS {
        run_due(&db, &registry).await.unwrap();
        skip_pauses(&db).await;
    }
    assert_eq!(dead(&db).await.len(), 1);

    Enqueue::new(&Fail).key("test/fail").send(&mut connection).await.unwrap();
    assert_eq!(dead(&db).await, []);
    assert_eq!(stats(&db).await.unwrap().failed, 0);
}

#[tokio::test]
async fn urgent_jobs_come_first_but_overtake_nobody_who_waited_for_long() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let ran = Ran::default();
    let mut connection = db.acquire().await.unwrap();
    let ago = |minutes: i64| TimeDelta::minutes(-minutes);
    Enqueue::new(&Note(1)).after(ago(-60)).send(&mut connection).await.unwrap();
    Enqueue::new(&Note(2)).send(&mut connection).await.unwrap();
    Enqueue::new(&Note(3)).after(ago(9)).send(&mut connection).await.unwrap();
    Enqueue::new(&Note(4)).urgent().send(&mut connection).await.unwrap();
    Enqueue::new(&Note(5)).after(ago(11)).send(&mut connection).await.unwrap();
    assert!(stats(&db).await.unwrap().oldest_ready_seconds < 300, "an urgent job has not waited");

    run_due(&db, &Registry::default().with::<Note>(ran.clone())).await.unwrap();
    assert_eq!(ran.take(), [5, 4, 3, 2]);
}

#[tokio::test]
async fn statistics_tell_how_long_work_has_been_waiting() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let empty = stats(&db).await.unwrap();
    assert_eq!((empty.ready, empty.oldest_ready_seconds), (0, 0));

    let mut connection = db.acquire().await.unwrap();
    enqueue(&mut connection, &Note(1)).await.unwrap();
    let an_hour_ago = "update graphile_worker._private_jobs
                       set run_at = run_at - interval '1 hour', created_at = created_at - interval '1 hour'";
    sqlx::query(an_hour_ago).execute(&db).await.unwrap();
    Enqueue::new(&Note(2)).after(TimeDelta::hours(1)).send(&mut connection).await.unwrap();
    let stats = stats(&db).await.unwrap();
    assert_eq!((stats.ready, stats.running, stats.failed), (1, 0, 0));
    assert!((3600..3660).contains(&stats.oldest_ready_seconds), "{stats:?}");
}

#[tokio::test]
async fn instances_that_start_together_install_the_schema_once() {
    let database = Database::new().await;
    let db = database.pool.clone();
    sqlx::query("drop schema graphile_worker cascade").execute(&db).await.unwrap();

    let migrations = (0..5).map(|_| {
        let db = db.clone();
        tokio::spawn(async move { jobs::migrate(&db).await })
    });
    for migration in migrations.collect::<Vec<_>>() {
        migration.await.unwrap().unwrap();
    }
    jobs::migrate(&db).await.unwrap();
    enqueue_now(&db, &Fail).await;
    assert_eq!(stats(&db).await.unwrap().ready, 1);
}

#[test]
#[should_panic(expected = "two jobs are named test/fail")]
fn two_jobs_cannot_share_a_name() {
    let _ = Registry::default().with::<Fail>(()).merge(Registry::default().with::<Fail>(()));
}
