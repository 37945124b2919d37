use kernel::{Id, Org};
use serde_json::json;
use testing::TestApp;

/// Tables with an org that only the owner's paths touch: nothing of them is ever read for a caller.
const OWNER_ONLY: &[&str] = &[];

#[tokio::test]
async fn every_table_with_an_org_is_closed_to_other_orgs() {
    let app = TestApp::start().await;

    let open: Vec<String> = sqlx::query_scalar(
        "select c.relname::text
         from pg_class c
         join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
         join pg_attribute a on a.attrelid = c.oid and a.attname = 'org_id'
         where c.relkind in ('r', 'p') and not c.relispartition
           and not (c.relrowsecurity and exists (
               select from pg_policies p
               where p.schemaname = 'public' and p.tablename = c.relname
                 and p.roles = '{app_tenant}'
                 and p.qual like '%current_org()%' and p.with_check like '%current_org()%'))
         order by 1",
    )
    .fetch_all(app.db.pool())
    .await
    .unwrap();

    assert_eq!(open, OWNER_ONLY, "tables with org_id and without a tenant policy");
}

#[tokio::test]
async fn partitions_cannot_be_reached_around_their_table() {
    let app = TestApp::start().await;
    let mut tx = app.db.tenant(Id::<Org>::new()).await.unwrap();

    let error = sqlx::query("select from usage_records_default").execute(&mut *tx).await;

    assert!(error.unwrap_err().to_string().contains("permission denied"));
}

#[tokio::test]
async fn the_tenant_role_sees_and_writes_one_org_only() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    ours.post("/v1/projects", json!({ "name": "Ours" })).await.ok();
    theirs.post("/v1/projects", json!({ "name": "Theirs" })).await.ok();

    let mut tx = app.db.tenant(ours.org()).await.unwrap();
    let seen: Vec<String> =
        sqlx::query_scalar("select name from projects").fetch_all(&mut *tx).await.unwrap();
    assert_eq!(seen, ["Ours"], "without any where clause");
    let changed = sqlx::query("update projects set name = 'Mine'").execute(&mut *tx).await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
    let planted = sqlx::query(
        "insert into projects (id, org_id, name, created_at, updated_at)
         values (gen_random_uuid(), $1, 'Planted', now(), now())",
    )
    .bind(theirs.org())
    .execute(&mut *tx)
    .await;
    assert!(planted.unwrap_err().to_string().contains("row-level security"));
}

#[tokio::test]
async fn money_cannot_be_made_or_unmade_by_the_tenant_role() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for statement in [
        "delete from holds",
        "delete from ledger_entries",
        "update budgets set amount = 1000000",
        "update entitlements set tier = 'agency'",
        "update grants set spent = 0",
        "delete from usage_records",
        "insert into grants (id, org_id, source, priority, amount, external_id, created_at)
         values (gen_random_uuid(), current_org(), 'admin', 1, 1000, 'x', now())",
    ] {
        let mut tx = app.db.tenant(owner.org()).await.unwrap();
        let error = sqlx::query(statement).execute(&mut *tx).await.unwrap_err();
        assert!(error.to_string().contains("permission denied"), "{statement}: {error}");
    }
}

#[tokio::test]
async fn the_tenant_does_not_stick_to_a_reused_connection() {
    let app = TestApp::start_with(|settings| settings.db.database_pool_size = 2).await;
    let owner = app.owner().await;

    // Ended by success, by failure, by being dropped half-way.
    let tx = app.db.tenant(owner.org()).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = app.db.tenant(owner.org()).await.unwrap();
    sqlx::query("select 1 / 0").execute(&mut *tx).await.unwrap_err();
    drop(tx);
    drop(app.db.tenant(owner.org()).await.unwrap());

    for _ in 0..4 {
        assert_eq!(left_behind(&app).await, ("slipway".to_owned(), None));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_who_gives_up_while_a_transaction_begins_leaves_none_behind() {
    let app = TestApp::start_with(|settings| settings.db.database_pool_size = 2).await;
    let owner = app.owner().await;

    for patience in 0..200 {
        tokio::select! {
            biased;
            () = async { for _ in 0..patience { tokio::task::yield_now().await } } => {}
            begun = app.db.tenant(owner.org()) => drop(begun.unwrap()),
        }
        assert_eq!(
            left_behind(&app).await,
            ("slipway".to_owned(), None),
            "given up after {patience}"
        );
    }
}

/// What a connection that comes back to the pool believes of itself.
async fn left_behind(app: &TestApp) -> (String, Option<String>) {
    sqlx::query_as("select current_user::text, current_org()::text")
        .fetch_one(app.db.pool())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tenant_does_not_survive_a_panic() {
    let app = TestApp::start_with(|settings| settings.db.database_pool_size = 2).await;
    let owner = app.owner().await;

    for _ in 0..4 {
        let (db, org) = (app.db.clone(), owner.org());
        let panics = tokio::spawn(async move {
            let mut tx = db.tenant(org).await.unwrap();
            sqlx::query("update orgs set name = 'half-way'").execute(&mut *tx).await.unwrap();
            panic!("as a handler might");
        });
        assert!(panics.await.unwrap_err().is_panic());
        assert_eq!(left_behind(&app).await, ("slipway".to_owned(), None));
    }
    let org = owner.get("/v1/me").await.ok();
    assert_ne!(org["org"]["name"], "half-way");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_given_up_leave_nothing_to_the_next_org() {
    let app = TestApp::start_with(|settings| settings.db.database_pool_size = 2).await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    theirs.post("/v1/projects", json!({ "name": "Theirs" })).await.ok();

    for n in 0..100_u64 {
        let (client, name) = (&theirs, format!("Given up {n}"));
        let given_up = std::time::Duration::from_micros(n * 50);
        let call = client.post("/v1/projects", json!({ "name": name }));
        tokio::time::timeout(given_up, call).await.ok();
        let seen = ours.get("/v1/projects").await.ok();
        assert_eq!(seen["items"], json!([]), "after {n}");
    }
    assert_eq!(left_behind(&app).await, ("slipway".to_owned(), None));
}

#[tokio::test]
async fn the_tenant_role_reaches_only_tables_that_are_closed_or_the_same_for_all() {
    let app = TestApp::start().await;
    // Prices, models and the like: nobody's in particular.
    let shared: Vec<String> = sqlx::query_scalar(
        "select c.relname::text
         from pg_class c
         join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
         where c.relkind in ('r', 'p', 'v', 'm') and not c.relrowsecurity
           and (has_table_privilege('app_tenant', c.oid, 'insert')
                or has_table_privilege('app_tenant', c.oid, 'update')
                or has_table_privilege('app_tenant', c.oid, 'delete')
                or has_table_privilege('app_tenant', c.oid, 'truncate'))
         order by 1",
    )
    .fetch_all(app.db.pool())
    .await
    .unwrap();
    assert_eq!(shared, [""; 0], "the tenant role writes where no policy holds it back");

    let (bypass, superuser, login, owns): (bool, bool, bool, i64) = sqlx::query_as(
        "select rolbypassrls, rolsuper, rolcanlogin,
                (select count(*) from pg_class where relowner = r.oid)
         from pg_roles r where rolname = 'app_tenant'",
    )
    .fetch_one(app.db.pool())
    .await
    .unwrap();
    assert_eq!((bypass, superuser, login, owns), (false, false, false, 0));

    let above: Vec<String> = sqlx::query_scalar(
        "select p.proname::text from pg_proc p
         join pg_namespace n on n.oid = p.pronamespace and n.nspname = 'public'
         where p.prosecdef and p.prorettype <> 'trigger'::regtype and has_function_privilege('app_tenant', p.oid, 'execute')",
    )
    .fetch_all(app.db.pool())
    .await
    .unwrap();
    assert_eq!(above, [""; 0], "functions with the owner's rights");
}

#[tokio::test]
async fn the_tenant_role_cannot_switch_off_what_holds_it_back() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for statement in [
        "alter table projects disable row level security",
        "drop policy tenant on projects",
        "grant select on operators to app_tenant",
        "select * from operators",
        "select * from refresh_tokens",
        "create table escape (id int)",
        "alter role app_tenant bypassrls",
    ] {
        let mut tx = app.db.tenant(owner.org()).await.unwrap();
        let error = sqlx::query(statement).execute(&mut *tx).await.unwrap_err().to_string();
        let refused = ["permission denied", "must be"];
        assert!(refused.iter().any(|it| error.contains(it)), "{statement}: {error}");
    }
}

#[tokio::test]
async fn the_application_is_neither_superuser_nor_above_row_level_security() {
    let app = TestApp::start().await;

    let (superuser, bypass): (bool, bool) =
        sqlx::query_as("select rolsuper, rolbypassrls from pg_roles where rolname = current_user")
            .fetch_one(app.db.pool())
            .await
            .unwrap();

    assert!(!superuser && !bypass);
}
