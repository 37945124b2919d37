use sqlx::PgPool;
use testing::Database;

/// Every object of the schema with all that defines it, as text.
async fn schema(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "select format('column %s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default)
         from information_schema.columns where table_schema = 'public' and table_name <> '_sqlx_migrations'
         union all
         select format('constraint %s %s', conrelid::regclass, pg_get_constraintdef(oid))
         from pg_constraint where connamespace = 'public'::regnamespace and conrelid <> '_sqlx_migrations'::regclass
         union all
         select indexdef from pg_indexes where schemaname = 'public' and tablename <> '_sqlx_migrations'
         union all
         select format('policy %s %s %s %s', tablename, policyname, qual, with_check)
         from pg_policies where schemaname = 'public'
         union all
         select pg_get_functiondef(p.oid) from pg_proc p where p.pronamespace = 'public'::regnamespace
         union all
         select format('view %s %s', viewname, definition) from pg_views where schemaname = 'public'
         union all
         select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
         order by 1",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn the_schema_goes_up_down_and_up_again_to_the_same() {
    let database = Database::new().await;
    // The template has partitions, which are made by date and not by a migration.
    db::migrate_down(&database.pool, 0).await.unwrap();
    db::migrate_up(&database.pool).await.unwrap();
    let first = schema(&database.pool).await;
    assert!(first.len() > 100);

    db::migrate_down(&database.pool, 0).await.unwrap();
    assert_eq!(schema(&database.pool).await, [""; 0], "down leaves nothing behind");
    db::migrate_up(&database.pool).await.unwrap();

    assert_eq!(schema(&database.pool).await, first);
}

#[tokio::test]
async fn each_migration_can_be_reverted_alone() {
    let database = Database::new().await;
    let newest = db::MIGRATOR.iter().map(|it| it.version).max().unwrap();
    for version in (1..=newest).rev() {
        db::migrate_down(&database.pool, version - 1).await.unwrap();
    }
    db::migrate_up(&database.pool).await.unwrap();

    let mut connection = database.pool.acquire().await.unwrap();
    let status = db::migration_status(&mut connection).await.unwrap();
    assert!(status.iter().all(|it| it.applied_at.is_some()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_start_together_migrate_once() {
    let database = Database::new().await;
    db::migrate_down(&database.pool, 0).await.unwrap();
    let now = kernel::Clock::System.now();

    let starts = (0..4).map(|_| server::prepare_database(&database.pool, now));

    for started in futures::future::join_all(starts).await {
        started.unwrap();
    }
}

#[tokio::test]
async fn an_older_release_starts_over_the_schema_of_a_newer_one() {
    let database = Database::new().await;
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (99991231, 'of a newer release', true, '', 0)",
    )
    .execute(&database.pool)
    .await
    .unwrap();

    db::migrate_up(&database.pool).await.unwrap();
}

#[tokio::test]
async fn room_for_the_coming_months_is_made_in_time_and_never_refused() {
    let app = testing::TestApp::start().await;
    let in_a_year = app.clock.now() + chrono::TimeDelta::days(365);
    // Somebody wrote a row for which there is no partition yet.
    sqlx::query(
        "insert into emails (id, recipient, template, subject, status, created_at)
         values (gen_random_uuid(), 'a@example.com', 'x', 'x', 'dead', $1)",
    )
    .bind(in_a_year)
    .execute(app.db.pool())
    .await
    .unwrap();

    app.advance(chrono::TimeDelta::days(365));
    let run = "select from graphile_worker.add_job(
                   'server.create_partitions', json_build_object('job', json_build_object()))";
    for _ in 0..2 {
        sqlx::query(run).execute(app.db.pool()).await.unwrap();
        app.run_jobs().await;
    }

    let names: Vec<String> = sqlx::query_scalar(
        "select inhrelid::regclass::text from pg_inherits
         where inhparent in ('emails'::regclass, 'usage_records'::regclass)",
    )
    .fetch_all(app.db.pool())
    .await
    .unwrap();
    let this_month = in_a_year.format("%Y_%m").to_string();
    let next_month = chrono::Months::new(1);
    let next_month = (in_a_year.date_naive() + next_month).format("%Y_%m").to_string();
    assert!(names.contains(&format!("usage_records_{this_month}")), "{names:?}");
    assert!(names.contains(&format!("emails_{next_month}")), "{names:?}");
    assert!(!names.contains(&format!("emails_{this_month}")), "its row stays in the default");
}
