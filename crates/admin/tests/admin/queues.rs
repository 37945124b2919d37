use serde_json::json;
use testing::TestApp;

/// A background job that has failed for good.
async fn dead_letter(app: &TestApp) -> i64 {
    sqlx::query_scalar(
        "insert into graphile_worker._private_jobs (task_id, payload, attempts, max_attempts, last_error)
         select task.id, '{\"job\": {}}', 10, 10, 'no route'
         from graphile_worker._private_tasks task where identifier = 'jobs.upkeep'
         returning id",
    )
    .fetch_one(app.db.pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn operators_see_retry_and_discard_dead_letters_and_it_is_written_down() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    app.run_jobs().await;
    let (first, second) = (dead_letter(&app).await, dead_letter(&app).await);

    let queues = operator.get("/admin/v1/queues").await.ok();
    let upkeep = queues.as_array().unwrap().iter().find(|it| it["kind"] == "jobs.upkeep").unwrap();
    assert_eq!((&upkeep["dead"], &upkeep["ready"]), (&json!(2), &json!(0)));
    let dead = operator.get("/admin/v1/jobs?state=dead&kind=jobs.upkeep").await.ok();
    assert_eq!((&dead[0]["id"], &dead[1]["id"]), (&json!(second), &json!(first)));
    let shown = operator.get(&format!("/admin/v1/jobs/{first}")).await.ok();
    assert_eq!((&shown["last_error"], &shown["payload"]), (&json!("no route"), &json!({})));

    let retried = operator.post(&format!("/admin/v1/jobs/{first}/retries"), json!({})).await;
    assert_eq!(retried.status, 202);
    assert_eq!(operator.delete(&format!("/admin/v1/jobs/{second}")).await.status, 204);
    app.run_jobs().await;
    for done in [first, second] {
        let gone = operator.get(&format!("/admin/v1/jobs/{done}")).await;
        assert_eq!(gone.problem(), (404, "job_not_found".into()));
    }
    for action in ["job.retried", "job.discarded"] {
        let log = operator.get(&format!("/admin/v1/audit-log?action={action}")).await.ok();
        assert_eq!(log["items"].as_array().unwrap().len(), 1);
        assert_eq!(log["items"][0]["before"]["last_error"], "no route");
    }
}

#[tokio::test]
async fn a_background_job_that_runs_is_left_alone() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    app.run_jobs().await;
    let id = dead_letter(&app).await;
    sqlx::query("update graphile_worker._private_jobs set locked_by = 'w', locked_at = now()")
        .execute(app.db.pool())
        .await
        .unwrap();
    let refused = (409, "job_runs".to_owned());
    let retried = operator.post(&format!("/admin/v1/jobs/{id}/retries"), json!({})).await;
    assert_eq!(retried.problem(), refused);
    assert_eq!(operator.delete(&format!("/admin/v1/jobs/{id}")).await.problem(), refused);
}

#[tokio::test]
async fn operators_see_which_workers_live() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    sqlx::query(
        "insert into graphile_worker._private_workers (id, last_heartbeat_at)
         values ('quiet', now() - interval '1 minute'), ('lively', now())",
    )
    .execute(app.db.pool())
    .await
    .unwrap();
    let workers = operator.get("/admin/v1/workers").await.ok();
    assert_eq!((&workers[0]["id"], &workers[1]["id"]), (&json!("lively"), &json!("quiet")));
    assert!(workers[1]["silent_seconds"].as_i64().unwrap() >= 60);
}
