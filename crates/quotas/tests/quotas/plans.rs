//! The statement that writes a batch must find its rows by their ids, whatever the statistics say.

use db::Db;
use quotas::Quotas;
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};
use testing::TestApp;

use crate::{call, give, use_up_the_plan, used};

/// Many calls in flight that are none of ours.
const CROWD: &str = "
    insert into holds (id, org_id, user_id, operation, provider, model, price_id, paid_by,
                       cost_nano_usd, credits, created_at, expires_at)
    select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'chat', 'openai', 'gpt-4o-mini',
           gen_random_uuid(), 'plan', 1, 1, now(), now() + interval '1 day'
    from generate_series(1, 20000)";

/// What the planner believes, and what is true.
const SKEWS: [(&str, &[&str]); 4] = [
    ("nothing was ever counted", &[]),
    ("it was empty when it was counted, and is large", &["analyze", CROWD]),
    ("it was large when it was counted, and is", &["analyze"]),
    ("it was large when it was counted, and is empty", &["truncate holds"]),
];

/// How often a table that `book` touches was read from its beginning to its end.
async fn scans(db: &PgPool) -> i64 {
    sqlx::query("select pg_stat_force_next_flush()").execute(db).await.unwrap();
    sqlx::query_scalar(
        "select sum(seq_scan)::bigint from pg_stat_user_tables
         where relname in ('holds', 'budgets', 'books', 'grants', 'ledger_entries')
            or relname like 'usage\\_records%'",
    )
    .fetch_one(db)
    .await
    .unwrap()
}

/// Has whoever has worked on `db` say so now: they would add it up later, while something else is counted.
async fn let_all_count(db: &PgPool) {
    let mut all = Vec::new();
    while let Some(connection) = db.try_acquire() {
        all.push(connection);
    }
    for connection in &mut all {
        sqlx::query("select pg_stat_force_next_flush()").execute(&mut **connection).await.unwrap();
    }
}

/// Reserves and settles two calls on books that are known; answers how many tables were scanned.
async fn scans_of_a_batch(app: &TestApp, quotas: &Quotas, db: &PgPool, call: &quotas::Call) -> i64 {
    sqlx::query("discard plans").execute(db).await.unwrap();
    let before = scans(db).await;
    for _ in 0..2 {
        let hold = quotas.reserve(call.clone()).await.unwrap();
        assert!(quotas.settle(&hold, used(1, 1)).await.unwrap());
    }
    let after = scans(db).await;
    app.quotas.settled().await;
    after - before
}

#[tokio::test]
async fn no_statistics_make_a_batch_read_a_whole_table() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    use_up_the_plan(&app, &owner).await;
    give(&app, &owner, 100, "pack").await;
    let call = call(&app, &owner).await;
    // One connection, so that what the batch did can be asked of whoever did it.
    let options = (*app.db.pool().connect_options()).clone();
    let db = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    sqlx::query("alter table holds set (autovacuum_enabled = off)").execute(&db).await.unwrap();
    app.quotas.settled().await;
    let_all_count(app.db.pool()).await;
    let quotas = Quotas::start(Db::new(db.clone()), app.clock.clone(), &app.settings.quotas);
    // The books are read first, which is not what is asked about.
    let hold = quotas.reserve(call.clone()).await.unwrap();
    quotas.settle(&hold, used(1, 1)).await.unwrap();

    for (belief, statements) in SKEWS {
        for statement in statements {
            sqlx::raw_sql(AssertSqlSafe(*statement)).execute(&db).await.unwrap();
        }
        assert_eq!(scans_of_a_batch(&app, &quotas, &db, &call).await, 0, "{belief}");
    }
    app.assert_books_balance().await;
    let_all_count(app.db.pool()).await;

    // Without what forbids it, small tables would be scanned, and it would be noticed.
    let book = "alter function book reset enable_seqscan";
    sqlx::raw_sql(book).execute(&db).await.unwrap();
    assert_ne!(scans_of_a_batch(&app, &quotas, &db, &call).await, 0);
}
