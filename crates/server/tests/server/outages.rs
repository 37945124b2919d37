use futures::future::join_all;
use sqlx::{ConnectOptions, Connection};
use testing::{TestApp, eventually};

/// Every endpoint that needs the database answers 503 while it is away, and recovers by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_database_is_503_and_not_ready_never_401_and_heals_by_itself() {
    let app = TestApp::start_with(|settings| settings.db.database_acquire_timeout_ms = 2000).await;
    let owner = app.owner().await;
    assert!(owner.get("/health/ready").await.status.is_success());
    let options = app.database_options();
    let name = options.get_database().unwrap().to_owned();
    let mut admin = options.database("postgres").connect().await.unwrap();
    let allow = |connections: i32| {
        sqlx::AssertSqlSafe(format!("alter database {name} connection limit {connections}"))
    };

    sqlx::query(allow(0)).execute(&mut admin).await.unwrap();
    sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1")
        .bind(&name)
        .execute(&mut admin)
        .await
        .unwrap();
    // What was found out before the outage counts for two seconds.
    app.advance(chrono::TimeDelta::seconds(3));
    let paths = ["/v1/me", "/v1/projects", "/v1/usage", "/v1/quotas"];
    for (path, reply) in paths.iter().zip(join_all(paths.map(|path| owner.get(path))).await) {
        assert!(reply.header("retry-after").is_some(), "{path}: {reply:?}");
        assert_eq!(reply.problem(), (503, "unavailable".into()), "{path}");
    }
    assert_eq!(owner.get("/health/ready").await.status, 503);
    assert!(owner.get("/health/live").await.status.is_success());

    sqlx::query(allow(-1)).execute(&mut admin).await.unwrap();
    admin.close().await.unwrap();
    eventually("it heals", async || owner.get("/v1/projects").await.status == 200).await;
    eventually("it is ready", async || {
        app.advance(chrono::TimeDelta::seconds(3));
        owner.get("/health/ready").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_statement_or_a_lock_that_takes_too_long_is_given_up() {
    let app = TestApp::start_with(|settings| {
        settings.db.database_statement_timeout_ms = 2_000;
        settings.db.database_lock_timeout_ms = 100;
    })
    .await;
    let code = |error: sqlx::Error| Some(error.as_database_error()?.code()?.into_owned());
    let slow = sqlx::query("select pg_sleep(600)").execute(app.db.pool()).await.unwrap_err();
    assert_eq!(code(slow).as_deref(), Some("57014"), "it was cancelled");

    let lock = "select pg_advisory_xact_lock(1)";
    let mut holder = app.db.pool().begin().await.unwrap();
    sqlx::query(lock).execute(&mut *holder).await.unwrap();
    let mut other = app.db.pool().begin().await.unwrap();
    let waited = sqlx::query(lock).execute(&mut *other).await.unwrap_err();
    assert_eq!(code(waited).as_deref(), Some("55P03"), "the lock was not waited for");
}
