use std::{collections::HashSet, sync::Arc};

use jobs::{Job, Registry, Schedule, Worker, instances, stats};
use sqlx::PgPool;
use testing::Database;
use tokio::{
    sync::{Notify, mpsc},
    time::timeout,
};

use crate::{
    Fail, enqueue_now,
    support::{PATIENCE, Running, Tell, Wait, busy, config, dead, listener, next, pause},
};

#[tokio::test]
async fn two_workers_run_each_job_once() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let (tell, mut told) = mpsc::unbounded_channel();
    let registry = Registry::default().with::<Tell>(tell);
    for number in 0..200 {
        enqueue_now(&db, &Tell(number)).await;
    }

    let workers = [(); 2].map(|()| Running::start(&db, &registry, &[], config(&[])));
    let mut seen = HashSet::new();
    for _ in 0..200 {
        assert!(seen.insert(next(&mut told).await), "a job ran twice");
    }
    for worker in workers {
        worker.stop().await;
    }
    assert!(told.try_recv().is_err(), "a job ran twice");
    let stats = stats(&db).await.unwrap();
    assert_eq!((stats.ready, stats.running, stats.failed), (0, 0, 0));
}

#[tokio::test]
async fn the_job_of_a_killed_worker_runs_again_as_another_attempt() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let (start, mut started) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let registry = Registry::default().with::<Wait>((start, go.clone()));
    enqueue_now(&db, &Wait(7)).await;
    run_every_job_in_a_worker_that_is_killed(&db).await;

    let worker = Running::start(&db, &registry, &[], config(&["--jobs-rescue-after-seconds=6"]));
    assert_eq!(next(&mut started).await, 7);
    let attempts: i16 = sqlx::query_scalar("select attempts from graphile_worker.jobs")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(attempts, 2);
    go.notify_one();
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_that_fell_silent_is_forgotten() {
    let database = Database::new().await;
    let db = database.pool.clone();
    run_every_job_in_a_worker_that_is_killed(&db).await;
    let registry = Registry::default().with::<Fail>(());
    let worker = Running::start(&db, &registry, &[], config(&[]));
    let forgotten = timeout(PATIENCE, async {
        loop {
            let known = instances(&db).await.unwrap();
            if known.len() == 1 && known[0].id != "dead" {
                return;
            }
            pause().await;
        }
    });
    forgotten.await.expect("the other takes over");
    worker.stop().await;
}

#[tokio::test]
async fn a_process_that_runs_no_jobs_is_no_worker() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let yearly = [Schedule::cron("0 0 1 1 *", &Tell(0))];
    let process = Running::start(&db, &Registry::default(), &yearly, config(&[]));
    // It would have registered before it listens.
    listener(&db, None).await;
    assert_eq!(instances(&db).await.unwrap(), []);
    process.stop().await;
}

#[tokio::test]
async fn a_job_that_kills_every_worker_becomes_a_dead_letter() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let registry = Registry::default().with::<Fail>(());
    enqueue_now(&db, &Fail).await;
    run_every_job_in_a_worker_that_is_killed(&db).await;
    sqlx::query("update graphile_worker._private_jobs set attempts = max_attempts")
        .execute(&db)
        .await
        .unwrap();

    let worker = Running::start(&db, &registry, &[], config(&["--jobs-rescue-after-seconds=6"]));
    let given_up = timeout(PATIENCE, async {
        loop {
            if let Some(dead) = dead(&db).await.pop() {
                return dead;
            }
            pause().await;
        }
    });
    assert_eq!(given_up.await.expect("the job is given up").name, Fail::NAME);
    worker.stop().await;
}

/// Leaves behind what a worker does that was killed an hour ago, in the middle of every job.
async fn run_every_job_in_a_worker_that_is_killed(db: &PgPool) {
    sqlx::raw_sql(
        "insert into graphile_worker._private_workers (id, last_heartbeat_at)
             values ('dead', now() - interval '1 hour');
         update graphile_worker._private_jobs
             set attempts = 1, locked_by = 'dead', locked_at = now() - interval '1 hour'",
    )
    .execute(db)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_running_job_may_finish_after_shutdown() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let (worker, _started, go) = busy(&db).await;

    worker.stop.notify_one();
    go.notify_one();
    worker.stop().await;
    let rows: i64 = sqlx::query_scalar("select count(*) from graphile_worker.jobs")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn a_job_that_outlives_the_grace_period_goes_back_to_the_queue_unharmed() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let (start, mut started) = mpsc::unbounded_channel();
    let registry = Registry::default().with::<Wait>((start, Arc::default()));
    let config = config(&["--jobs-concurrency=1", "--jobs-grace-seconds=0"]);
    let worker = Running::start(&db, &registry, &[], config);
    for number in 1..=2 {
        enqueue_now(&db, &Wait(number)).await;
    }
    next(&mut started).await;
    worker.stop().await;

    let attempts: Vec<(i16, bool)> = sqlx::query_as(
        "select attempts, locked_at is null and run_at <= now() from graphile_worker.jobs",
    )
    .fetch_all(&db)
    .await
    .unwrap();
    assert_eq!(attempts, [(0, true), (0, true)]);
}

#[tokio::test]
async fn a_slot_is_queued_once_by_two_schedulers_and_missed_slots_are_made_up() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let (tell, _told) = mpsc::unbounded_channel();
    let registry = Registry::default().with::<Tell>(tell);
    let schedules = [Schedule::cron("* * * * *", &Tell(0))];
    sqlx::raw_sql(
        "insert into graphile_worker._private_known_crontabs (identifier, known_since)
             values ('test/tell: * * * * *', now() - interval '10 minutes');
         create table slots (slot timestamptz);
         create function note_slot() returns trigger language plpgsql as
             'begin insert into slots values (new.run_at); return null; end';
         create trigger note_slot after insert or update of revision on graphile_worker._private_jobs
             for each row execute function note_slot()",
    )
    .execute(&db)
    .await
    .unwrap();

    let workers = [(); 2].map(|()| Running::start(&db, &registry, &schedules, config(&[])));
    let count = || async {
        sqlx::query_as::<_, (i64, i64)>("select count(*), count(distinct slot) from slots")
            .fetch_one(&db)
            .await
            .unwrap()
    };
    let made_up = timeout(PATIENCE, async {
        while count().await.1 < 10 {
            pause().await;
        }
    });
    made_up.await.expect("the missed slots are queued");
    for worker in workers {
        worker.stop().await;
    }
    let (queued, slots) = count().await;
    assert_eq!(queued, slots);
}

#[tokio::test]
async fn a_slot_that_was_queued_by_a_clock_ahead_of_time_is_not_queued_again() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let (tell, _told) = mpsc::unbounded_channel();
    let registry = Registry::default().with::<Tell>(tell).with::<Fail>(());
    let schedules = [Schedule::cron("* * * * *", &Tell(0)), Schedule::cron("* * * * *", &Fail)];
    sqlx::raw_sql(
        "insert into graphile_worker._private_known_crontabs (identifier, known_since, last_execution)
             values ('test/fail: * * * * *', now() - interval '1 day', now() + interval '10 minutes'),
                    ('test/tell: * * * * *', now() - interval '1 day', now() - interval '3 minutes');
         create table slots (name text);
         create function note_slot() returns trigger language plpgsql as
             'begin insert into slots values (new.key); return null; end';
         create trigger note_slot after insert or update of revision on graphile_worker._private_jobs
             for each row execute function note_slot()",
    )
    .execute(&db)
    .await
    .unwrap();

    let worker = Running::start(&db, &registry, &schedules, config(&[]));
    let queued = || async {
        sqlx::query_as::<_, (i64, i64)>(
            "select count(*) filter (where name like 'test/tell%'),
                    count(*) filter (where name like 'test/fail%') from slots",
        )
        .fetch_one(&db)
        .await
        .unwrap()
    };
    let made_up = timeout(PATIENCE, async {
        while queued().await.0 < 2 {
            pause().await;
        }
    });
    made_up.await.expect("the missed slots of the other are queued");
    worker.stop().await;
    assert_eq!(queued().await.1, 0);
}

/// Fault F23: the machine's clock is a day behind the database's, by which everything in the queue goes.
#[tokio::test]
async fn a_process_whose_clock_is_a_day_off_queues_what_is_due_by_the_databases_clock() {
    let database = Database::new().await;
    sqlx::raw_sql(
        "create schema ahead;
         create function ahead.clock_timestamp() returns timestamptz language sql as
             'select pg_catalog.clock_timestamp() + interval ''1 day''';
         create function ahead.now() returns timestamptz language sql stable as
             'select pg_catalog.now() + interval ''1 day''';
         insert into graphile_worker._private_known_crontabs (identifier, known_since)
             values ('test/tell: * * * * *', pg_catalog.now() + interval '1 day' - interval '5 minutes');
         create table slots (slot timestamptz);
         create function note_slot() returns trigger language plpgsql as
             'begin insert into public.slots values (new.last_execution); return null; end';
         create trigger note_slot after update on graphile_worker._private_known_crontabs
             for each row execute function note_slot()",
    )
    .execute(&database.pool)
    .await
    .unwrap();
    let ahead = [("search_path", "ahead,public,pg_catalog")];
    let options = database.options.clone().options(ahead);
    let db = PgPool::connect_with(options).await.unwrap();

    let (tell, mut told) = mpsc::unbounded_channel();
    let registry = Registry::default().with::<Tell>(tell);
    let schedules = [Schedule::cron("* * * * *", &Tell(7))];
    let worker = Running::start(&db, &registry, &schedules, config(&[]));
    assert_eq!(next(&mut told).await, 7);
    let queued = async || -> i64 {
        sqlx::query_scalar("select count(*) from slots").fetch_one(&db).await.unwrap()
    };
    let made_up = timeout(PATIENCE, async {
        while queued().await < 5 {
            pause().await;
        }
    });
    made_up.await.expect("the missed slots are queued");
    worker.stop().await;

    let slots: (i64, i64, bool) = sqlx::query_as(
        "select count(*), count(distinct slot),
                bool_and(slot between now() - interval '10 minutes' and now()) from slots",
    )
    .fetch_one(&db)
    .await
    .unwrap();
    assert!(slots.0 == slots.1 && slots.2, "{slots:?}");
}

#[tokio::test]
#[should_panic(expected = "test/fail: * * * * * is scheduled twice")]
async fn a_schedule_is_given_once() {
    let db = PgPool::connect_lazy("postgres://127.0.0.1/none").unwrap();
    let schedule = Schedule::cron("* * * * *", &Fail);
    Worker::new(db.clone(), db, Registry::default(), vec![schedule.clone(), schedule], config(&[]));
}
