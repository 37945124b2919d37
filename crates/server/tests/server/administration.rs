//! The program's commands, run as an administrator runs them.

use std::process::Output;

use secrecy::ExposeSecret;
use serde_json::json;
use testing::TestApp;
use tokio::process::Command;

async fn slipway(app: &TestApp, arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let secret = app.settings.auth.auth_secret.as_ref().unwrap();
    Command::new(env!("CARGO_BIN_EXE_slipway"))
        .args(arguments)
        .env_clear()
        .env("HOME", directory.path())
        .env("DATABASE_URL", app.database_url())
        .env("AUTH_SECRET", secret.expose_secret())
        .env("LOG_LEVEL", "error")
        .current_dir(directory.path())
        .output()
        .await
        .unwrap()
}

#[tokio::test]
async fn the_audit_log_is_verified_and_fails_when_its_owner_has_changed_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    owner.post("/v1/api-keys", json!({ "name": "a" })).await.ok();

    let right = slipway(&app, &["audit", "verify"]).await;
    assert!(right.status.success(), "{right:?}");

    let mut tx = app.db.begin().await.unwrap();
    for statement in [
        "alter table audit_events disable trigger user",
        "update audit_events set after = '{}' where action = 'api_key.created'",
        "alter table audit_events enable trigger user",
    ] {
        sqlx::query(statement).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    let wrong = slipway(&app, &["audit", "verify"]).await;
    assert!(!wrong.status.success());
    let shown = String::from_utf8_lossy(&wrong.stdout);
    assert!(shown.contains(&format!("org {}", owner.org())), "{shown}");
    assert!(shown.contains("the event was changed"), "{shown}");
    let org = owner.org().to_string();
    assert!(!slipway(&app, &["audit", "verify", "--org", &org]).await.status.success());
    let other = app.owner().await.org().to_string();
    assert!(slipway(&app, &["audit", "verify", "--org", &other]).await.status.success());
}

#[tokio::test]
async fn an_operator_is_let_go_from_the_command_line() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    operator.get("/admin/v1/operators").await.ok();

    let done = slipway(&app, &["operator", "disable", &operator.email]).await;

    assert!(done.status.success(), "{done:?}");
    assert_eq!(operator.get("/admin/v1/operators").await.problem().0, 401);
    assert!(!slipway(&app, &["operator", "disable", &operator.email]).await.status.success());
}
