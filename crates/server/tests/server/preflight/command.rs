use serde_json::Value;
use testing::TestApp;

use crate::commands::command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_shows_a_table_or_json_writes_a_page_and_fails_if_something_is_missing() {
    let app = TestApp::live().await;
    let _worker = app.start_worker().await;
    let directory = tempfile::tempdir().unwrap();
    let run = async |more: &[&str]| {
        let arguments = [&["preflight", "--dns", "http://127.0.0.1:9/resolve"], more].concat();
        let mut command = command(&app, &arguments);
        command.current_dir(directory.path()).output().await.unwrap()
    };
    let output = run(&["--json"]).await;
    assert_eq!(
        output.status.code(),
        Some(1),
        "nobody is told of trouble, and there are no backups"
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ready"], false);
    let checks = report["checks"].as_array().unwrap();
    let backups = checks.iter().find(|it| it["name"] == "backups").unwrap();
    assert_eq!((&backups["state"], &backups["group"]), (&"fail".into(), &"environment".into()));
    assert!(backups["action"].as_str().unwrap().contains("BACKUP_KEY"));

    let output = run(&["--write"]).await;
    let table = String::from_utf8(output.stdout).unwrap();
    for text in ["Environment", "Services", "Features", "FAIL backups", "-> Set BACKUP_KEY"] {
        assert!(table.contains(text), "{text}: {table}");
    }
    assert!(String::from_utf8(output.stderr).unwrap().contains("not ready:"));
    let page = std::fs::read_to_string(directory.path().join("READINESS.md")).unwrap();
    assert!(
        page.starts_with("# Readiness\n\nNot ready") && page.contains("| FAIL | backups |"),
        "{page}"
    );
}
