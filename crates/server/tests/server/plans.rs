//! Hot queries must use their index, whatever the planner thinks of an empty table.

use testing::TestApp;

/// The plan of `query` when sequential scans are as unattractive as they are on large tables.
async fn plan(app: &TestApp, query: &str) -> String {
    let mut tx = app.db.begin().await.unwrap();
    sqlx::query("set local enable_seqscan = off").execute(&mut *tx).await.unwrap();
    let explain = sqlx::AssertSqlSafe(format!("explain {query}"));
    let lines: Vec<String> = sqlx::query_scalar(explain).fetch_all(&mut *tx).await.unwrap();
    lines.join("\n")
}

#[tokio::test]
async fn hot_queries_use_their_index() {
    let app = TestApp::start().await;
    let id = "'00000000-0000-7000-8000-000000000000'";
    for (query, index) in [
        (
            format!(
                "select from usage_records where org_id = {id} and created_at >= now() - interval '1 month'
                 order by created_at desc limit 21"
            ),
            "org_id_created_at",
        ),
        (format!("select from usage_records where org_id = {id} and xid >= 5"), "org_id_xid"),
        ("select from usage_records where xid >= 5 and xid < 9".into(), "xid_idx"),
        (
            format!(
                "select from usage_rollups
                 where org_id = {id} and not detail and grain = 60 and slot >= now()"
            ),
            "usage_rollup_line",
        ),
        (
            "select from usage_rollups where grain = 1440 and not detail and slot >= now()".into(),
            "usage_rollups_by_day",
        ),
        (
            format!("select from budgets where org_id is null or org_id = any(array[{id}::uuid])"),
            "budgets_by_org",
        ),
        (
            format!("select from grants where org_id = {id} and spent + revoked < amount"),
            "grants_by_org",
        ),
        (
            "select from holds where expires_at < now() order by expires_at limit 100".into(),
            "holds_by_expiry",
        ),
        ("select from api_keys where hash = '\\x00'".into(), "api_keys_hash_key"),
        ("select from users where lower(email) = 'a@example.com'".into(), "users_email_taken"),
        (format!("select from memberships where user_id = {id}"), "memberships_by_user"),
        (
            format!(
                "select from projects where org_id = {id} and created_at < now()
                 order by created_at desc, id desc limit 21"
            ),
            "projects_by_creation",
        ),
        (
            format!("select from ledger_entries where org_id = {id} order by created_at desc"),
            "ledger_entries_by_org",
        ),
        (
            "select from checkouts where stripe_session_id = 'cs_1'".into(),
            "checkouts_stripe_session_id_key",
        ),
    ] {
        let plan = plan(&app, &query).await;
        assert!(plan.contains(index), "{query} does not use {index}:\n{plan}");
        assert!(!plan.contains("Seq Scan"), "{query} scans a table:\n{plan}");
    }
}
