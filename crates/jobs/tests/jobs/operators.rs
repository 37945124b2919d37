use chrono::TimeDelta;
use jobs::{Enqueue, Filter, Job, Registry, State, Upkeep};
use sqlx::PgPool;
use testing::Database;
use tokio::sync::mpsc;

use crate::{
    Fail, enqueue_now,
    support::{Tell, dead},
};

async fn dead_letter(db: &PgPool) -> i64 {
    enqueue_now(db, &Fail).await;
    let registry = Registry::default().with::<Fail>(());
    for _ in 0..Fail::MAX_ATTEMPTS {
        jobs::run_due(db, &registry).await.unwrap();
        let due = "update graphile_worker._private_jobs set run_at = now()";
        sqlx::query(due).execute(db).await.unwrap();
    }
    dead(db).await[0].id
}

#[tokio::test]
async fn a_dead_letter_is_retried_with_all_its_attempts() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let id = dead_letter(&db).await;

    let mut connection = db.acquire().await.unwrap();
    assert!(jobs::retry(&mut connection, id).await.unwrap());
    assert_eq!(dead(&db).await, []);
    let failures = jobs::run_due(&db, &Registry::default().with::<Fail>(())).await.unwrap();
    assert_eq!((failures.len(), failures[0].id, failures[0].attempts), (1, id, 1));
    assert!(!jobs::retry(&mut connection, id + 1).await.unwrap());
}

#[tokio::test]
async fn a_dead_letter_that_is_discarded_is_gone() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let id = dead_letter(&db).await;

    let mut connection = db.acquire().await.unwrap();
    assert!(jobs::discard(&mut connection, id).await.unwrap());
    assert!(!jobs::discard(&mut connection, id).await.unwrap());
    assert_eq!(jobs::list(&db, &Filter::default(), 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_running_job_is_neither_retried_nor_discarded() {
    let database = Database::new().await;
    let db = database.pool.clone();
    enqueue_now(&db, &Fail).await;
    let lock =
        "update graphile_worker._private_jobs set locked_by = 'w', locked_at = now() returning id";
    let id: i64 = sqlx::query_scalar(lock).fetch_one(&db).await.unwrap();

    let mut connection = db.acquire().await.unwrap();
    assert!(!jobs::retry(&mut connection, id).await.unwrap());
    assert!(!jobs::discard(&mut connection, id).await.unwrap());
}

#[tokio::test]
async fn jobs_are_counted_by_kind_and_listed_by_what_they_do() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let id = dead_letter(&db).await;
    let mut connection = db.acquire().await.unwrap();
    enqueue_now(&db, &Tell(1)).await;
    enqueue_now(&db, &Tell(2)).await;
    Enqueue::new(&Tell(3)).after(TimeDelta::hours(1)).send(&mut connection).await.unwrap();
    sqlx::query("update graphile_worker._private_jobs set created_at = now() - interval '1 hour', run_at = run_at - interval '1 hour' where task_id = (select id from graphile_worker._private_tasks where identifier = $1)")
        .bind(Tell::NAME)
        .execute(&db)
        .await
        .unwrap();

    let kinds = jobs::kinds(&db).await.unwrap();
    let counts: Vec<_> = kinds
        .iter()
        .map(|it| (it.name.as_str(), it.ready, it.running, it.waiting, it.dead))
        .collect();
    assert_eq!(counts, [("test/fail", 0, 0, 0, 1), ("test/tell", 3, 0, 0, 0)]);
    assert!((3600..3660).contains(&kinds[1].oldest_seconds), "{kinds:?}");

    let of =
        |name: Option<&str>, state| Filter { name: name.map(str::to_owned), state, before: None };
    let listed = jobs::list(&db, &of(None, Some(State::Dead)), 10).await.unwrap();
    assert_eq!(listed.iter().map(|it| it.id).collect::<Vec<_>>(), [id]);
    let told = jobs::list(&db, &of(Some(Tell::NAME), None), 2).await.unwrap();
    assert_eq!(told.len(), 2);
    let before = Filter { before: Some(told[1].id), ..of(Some(Tell::NAME), None) };
    assert_eq!(jobs::list(&db, &before, 10).await.unwrap().len(), 1);
    let mut job = jobs::find(&db, told[0].id).await.unwrap().unwrap();
    assert_eq!(job.payload.take(), Some(3.into()));
    assert_eq!(job, told[0]);
}

#[tokio::test]
async fn it_is_known_how_often_a_scheduled_job_was_due_again_before_it_had_succeeded() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let mut connection = db.acquire().await.unwrap();
    sqlx::query(
        "insert into graphile_worker._private_known_crontabs (identifier, known_since)
         values ('test/fail: * * * * *', now())",
    )
    .execute(&db)
    .await
    .unwrap();
    let registry = Registry::default().with::<Fail>(());
    for _ in 0..5 {
        Enqueue::new(&Fail).key("test/fail").send(&mut connection).await.unwrap();
    }
    assert_eq!(jobs::missed_slots(&db).await.unwrap(), 0, "that is no schedule");
    for missed in 0..5 {
        Enqueue::new(&Fail).key("test/fail: * * * * *").send(&mut connection).await.unwrap();
        assert_eq!(jobs::missed_slots(&db).await.unwrap(), missed);
        jobs::run_due(&db, &registry).await.unwrap();
    }
    assert_eq!(dead(&db).await, []);
}

#[tokio::test]
async fn what_replaced_jobs_leave_behind_is_removed() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let mut connection = db.acquire().await.unwrap();
    Enqueue::new(&Fail).key("test/fail").send(&mut connection).await.unwrap();
    sqlx::query("update graphile_worker._private_jobs set attempts = max_attempts")
        .execute(&db)
        .await
        .unwrap();
    Enqueue::new(&Fail).key("test/fail").send(&mut connection).await.unwrap();
    let (tell, _told) = mpsc::unbounded_channel();
    let registry = Registry::default().with::<Upkeep>(db.clone()).with::<Tell>(tell);

    enqueue_now(&db, &Upkeep {}).await;
    jobs::run_due(&db, &registry).await.unwrap();
    let rows: i64 = sqlx::query_scalar("select count(*) from graphile_worker._private_jobs")
        .fetch_one(&db)
        .await
        .unwrap();
    assert_eq!(rows, 1);
    assert_eq!(jobs::stats(&db).await.unwrap().ready, 1);
}
