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
        let (user, org): (String, Option<String>) =
            sqlx::query_as("select current_user::text, current_org()::text")
                .fetch_one(app.db.pool())
                .await
                .unwrap();
        assert_eq!((user.as_str(), org), ("slipway", None));
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
        let (user, org): (String, Option<String>) =
            sqlx::query_as("select current_user::text, current_org()::text")
                .fetch_one(app.db.pool())
                .await
                .unwrap();
        assert_eq!((user.as_str(), org), ("slipway", None), "given up after {patience}");
    }
}

#[tokio::test]
async fn what_belongs_to_another_org_does_not_exist() {
    let app = TestApp::start().await;
    let (ours, theirs) = (app.owner().await, app.owner().await);
    let project = theirs.post("/v1/projects", json!({ "name": "Theirs" })).await.ok();
    let key = theirs.post("/v1/api-keys", json!({ "name": "theirs" })).await.ok();
    let item = json!({ "item": "pack-10" });
    let checkout = theirs.post("/v1/billing/checkout-sessions", item).await.ok();
    let id = |body: &serde_json::Value| body["id"].as_str().unwrap().to_owned();
    let paths = [
        format!("/v1/projects/{}", id(&project)),
        format!("/v1/billing/checkout-sessions/{}", id(&checkout)),
    ];
    let nothing = format!("/v1/projects/{}", uuid::Uuid::now_v7());
    let nothing = ours.get(&nothing).await.problem();

    for path in paths {
        let (status, _) = ours.get(&path).await.problem();
        assert_eq!(status, nothing.0, "{path}");
    }
    let project = format!("/v1/projects/{}", id(&project));
    assert_eq!(ours.patch(&project, json!({ "name": "Mine" })).await.problem(), nothing);
    assert_eq!(ours.delete(&project).await.problem(), nothing);
    let key = format!("/v1/api-keys/{}", id(&key));
    assert_eq!(ours.delete(&key).await.problem().0, 404);
    assert_eq!(theirs.get(&project).await.ok()["name"], "Theirs");
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
