use serde_json::json;
use testing::{Reply, TestApp};

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

#[tokio::test]
async fn a_browser_is_shown_a_page_of_queues_workers_and_dead_letters_that_breaks_on_nothing() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    app.run_jobs().await;
    let id = dead_letter(&app).await;
    sqlx::query("update graphile_worker._private_jobs set last_error = $1 where id = $2")
        .bind("<script>alert('{{ 7 }}')</script>")
        .bind(id)
        .execute(app.db.pool())
        .await
        .unwrap();
    let show = async |password: &str, accept: &str| {
        let request = app.anonymous().request(reqwest::Method::GET, "/admin/v1/queues");
        let request = request.basic_auth("ada", Some(password)).header("accept", accept);
        Reply::read(request.send().await.unwrap()).await
    };
    let token = operator.token.as_deref().unwrap();

    let page = show(token, "text/html,application/xhtml+xml").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    let text = page.ok_text();
    for shown in ["jobs.upkeep", "No worker lives", "&#60;script&#62;alert(&#39;{{ 7 }}&#39;)"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert!(!text.contains("<script"), "{text}");
    assert!(show(token, "*/*").await.ok().is_array());

    let asks = Some("Basic realm=\"operators\", charset=\"UTF-8\"");
    for wrong in ["", "slop_", &format!("slop_{}", "x".repeat(43))] {
        let refused = show(wrong, "text/html").await;
        assert_eq!((refused.status.as_u16(), refused.header("www-authenticate")), (401, asks));
        let refused = show(wrong, "*/*").await;
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer"), "no window opens for a program: {challenge}");
    }
    let customer = app.owner().await;
    let customers = show(customer.token.as_deref().unwrap(), "text/html").await;
    assert_eq!(customers.status, 401);
}

#[tokio::test]
async fn what_a_browser_sends_by_itself_changes_nothing() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    app.run_jobs().await;
    let id = dead_letter(&app).await;
    let (token, path) = (operator.token.as_deref(), format!("/admin/v1/jobs/{id}"));
    for (method, path) in [
        (reqwest::Method::DELETE, path.clone()),
        (reqwest::Method::POST, format!("{path}/retries")),
    ] {
        let request = app.anonymous().request(method, &path).basic_auth("ada", token);
        let refused = Reply::read(request.send().await.unwrap()).await;
        assert_eq!(refused.status, 401, "{path}");
    }
    assert_eq!(operator.get(&path).await.ok()["state"], "dead");
}
