use jobs::{Job, Registry, run_due, stats};
use serde::{Deserialize, Serialize};
use testing::Database;

use crate::{
    Fail, enqueue_now,
    queue::{Note, Ran, skip_pauses},
};

/// A `test/note` as a later version of the program queues it.
#[derive(Serialize, Deserialize)]
struct NewerNote {
    number: u32,
    colour: String,
}

impl Job for NewerNote {
    const NAME: &'static str = "test/note";
    type Context = Ran;

    async fn run(self, ran: Ran) -> anyhow::Result<()> {
        ran.0.lock().unwrap().push(self.number);
        Ok(())
    }
}

#[tokio::test]
async fn a_payload_from_a_newer_version_waits_for_a_process_that_reads_it() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let ran = Ran::default();
    enqueue_now(&db, &NewerNote { number: 5, colour: "red".into() }).await;

    let old = jobs::run_due(&db, &Registry::default().with::<Note>(ran.clone())).await.unwrap();
    assert_eq!((old.len(), ran.take()), (1, vec![]));
    skip_pauses(&db).await;
    jobs::run_due(&db, &Registry::default().with::<NewerNote>(ran.clone())).await.unwrap();
    assert_eq!(ran.take(), [5]);
}

#[tokio::test]
async fn a_payload_that_is_no_job_at_all_fails_alone() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let ran = Ran::default();
    for poison in ["null", "[]", "{}", "[1, 2]", "\"x\"", "7"] {
        sqlx::query("select graphile_worker.add_job($1, $2::json)")
            .bind(Note::NAME)
            .bind(sqlx::types::Json(serde_json::from_str::<serde_json::Value>(poison).unwrap()))
            .execute(&db)
            .await
            .unwrap();
    }
    enqueue_now(&db, &Note(1)).await;

    let failures =
        jobs::run_due(&db, &Registry::default().with::<Note>(ran.clone())).await.unwrap();
    assert_eq!((failures.len(), ran.take()), (6, vec![1]), "{failures:?}");
}

#[tokio::test]
async fn an_unknown_job_waits_and_stops_nobody() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let ran = Ran::default();
    enqueue_now(&db, &Fail).await;
    enqueue_now(&db, &Note(1)).await;

    run_due(&db, &Registry::default().with::<Note>(ran.clone())).await.unwrap();
    assert_eq!(ran.take(), [1]);
    let stats = stats(&db).await.unwrap();
    assert_eq!((stats.ready, stats.running, stats.failed), (1, 0, 0));
}

#[tokio::test]
async fn an_unreadable_payload_fails_without_being_quoted_and_stops_nobody() {
    let database = Database::new().await;
    let db = database.pool.clone();
    let ran = Ran::default();
    sqlx::query("select graphile_worker.add_job($1, '{\"job\": \"canary\"}')")
        .bind(Note::NAME)
        .execute(&db)
        .await
        .unwrap();
    enqueue_now(&db, &Note(1)).await;

    let failures = run_due(&db, &Registry::default().with::<Note>(ran.clone())).await.unwrap();
    assert_eq!((failures.len(), ran.take()), (1, vec![1]));
    assert!(!failures[0].last_error.contains("canary"), "{failures:?}");
}
