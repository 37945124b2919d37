//! The real program is killed in the middle of an erasure.

use serde_json::{Value, json};
use testing::TestApp;

use crate::{
    kills::count,
    processes::{Process, eventually},
};

async fn run(app: &TestApp, statement: impl Into<String>) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.into())).execute(app.db.pool()).await.unwrap();
}

/// As the next minute does.
async fn carry_out(app: &TestApp) {
    run(
        app,
        "select graphile_worker.add_job('privacy.carry_out_deletions', '{\"job\": {}}'::json, job_key => 'now')",
    )
    .await;
}

/// As if what was begun had begun a while ago.
async fn age(app: &TestApp) {
    run(
        app,
        "update deletions set started_at = now() - interval '10 minutes' where started_at is not null",
    )
    .await;
}

/// Whether the erasure does, and not something else that uses the table.
async fn waits_for(app: &TestApp, table: &str) -> bool {
    let waits = "select exists (select from pg_stat_activity
                                where datname = current_database() and wait_event_type = 'Lock'
                                  and query ~ ('^(delete from|insert into|update) ' || $1 || ' '))";
    sqlx::query_scalar(waits).bind(table).fetch_one(app.db.pool()).await.unwrap()
}

/// Security case 128.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_an_erasure_the_rest_is_done_and_no_step_twice() {
    let app = TestApp::live().await;
    let ada = app.owner().await;
    ada.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
    ada.post("/v1/api-keys", json!({ "name": "CI" })).await.ok();
    ada.post("/v1/me/deletion", json!(null)).await.ok();
    app.run_jobs().await;
    run(&app, "update deletions set due_at = now()").await;

    // Where it begins, the log, an org's own, a person's own, and the end.
    for table in ["memberships", "audit_redactions", "projects", "identities", "deletions"] {
        let directory = tempfile::tempdir().unwrap();
        let mut lock = app.db.begin().await.unwrap();
        let hold = format!("lock table {table} in share mode");
        sqlx::raw_sql(sqlx::AssertSqlSafe(hold)).execute(&mut *lock).await.unwrap();
        let mut process = Process::beside(&app, directory.path()).await;
        eventually("the erasure waits for the table", async || {
            // Once the end is near, everything has begun.
            if table != "deletions" {
                age(&app).await;
            }
            carry_out(&app).await;
            waits_for(&app, table).await
        })
        .await;
        process.child.kill().await.unwrap();
        drop(lock);
        let silent = "update graphile_worker._private_workers set last_heartbeat_at = now() - interval '1 hour'";
        run(&app, silent).await;
    }

    let directory = tempfile::tempdir().unwrap();
    let _process = Process::beside(&app, directory.path()).await;
    eventually("everything is gone", async || {
        age(&app).await;
        carry_out(&app).await;
        count(&app, "deletions where done_at is null").await == 0
    })
    .await;
    let certificates: Vec<Value> =
        sqlx::query_scalar("select certificate from deletions order by org_id is null")
            .fetch_all(app.db.pool())
            .await
            .unwrap();
    let [org, person] = certificates.as_slice() else { panic!("{certificates:?}") };
    assert_eq!(org["erased"]["projects, what an org works on: deleted"], 1, "{org}");
    assert_eq!(person["erased"]["users, accounts: overwritten"], 1, "{person}");
    assert_eq!(count(&app, "projects").await + count(&app, "api_keys").await, 0);
    assert_eq!(count(&app, "audit_events where action = 'deletion.done'").await, 2);
    app.assert_books_balance().await;
}
