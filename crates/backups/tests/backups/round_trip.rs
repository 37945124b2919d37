use std::{fs::Permissions, os::unix::fs::PermissionsExt};

use serde_json::json;
use sqlx::PgPool;

use crate::support::{World, contents, empty};

async fn some_life(world: &World) {
    let owner = world.app.owner().await;
    owner.post("/v1/projects", json!({ "name": "Apollo" })).await.ok();
    for _ in 0..3 {
        let chat =
            json!({ "model": "gpt-4o-mini", "messages": [{ "role": "user", "content": "hello" }] });
        owner.post("/v1/chat/completions", chat).await.ok();
    }
    world.app.quotas.settled().await;
}

/// A cluster of its own has no role of ours yet, and numbers its transactions anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_restored_into_a_new_cluster_is_what_was_backed_up() {
    let Some(world) = World::start().await else { return };
    some_life(&world).await;
    world.app.run_jobs().await;
    let (backups, before) = (world.backups(), contents(world.app.database_options()).await);
    let manifest = backups.take().await.unwrap();
    assert_eq!(backups.find(None).await.unwrap(), manifest);
    backups.check(&manifest).await.unwrap();

    let readable = Permissions::from_mode(0o755);
    let root = tempfile::Builder::new().permissions(readable).tempdir().unwrap();
    let config = embedded_postgres::Config {
        durable: false,
        ..embedded_postgres::Config::new(root.path().join("postgres"))
    };
    let cluster = embedded_postgres::Postgres::start(config).await.unwrap();
    backups.restore(&manifest, &cluster.options()).await.unwrap();

    let after = contents(cluster.options()).await;
    assert!(after.len() > 50, "{after:?}");
    assert_eq!(after, before);
    let copy = PgPool::connect_with(cluster.options()).await.unwrap();
    assert_eq!(quotas::differences(&copy).await.unwrap(), []);
    assert_eq!(quotas::violations(&copy).await.unwrap(), []);
    assert_eq!(usage::violations(&copy).await.unwrap(), []);
    let bypasses: bool = sqlx::query_scalar(
        "select bool_or(not relrowsecurity) from pg_class where relname in ('projects', 'api_keys')",
    )
    .fetch_one(&copy)
    .await
    .unwrap();
    assert!(!bypasses, "row-level security is restored too");
    copy.close().await;
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_holds_what_was_committed_when_it_began_and_nothing_readable() {
    let Some(world) = World::start().await else { return };
    let owner = world.app.owner().await;
    owner.post("/v1/projects", json!({ "name": "A canary in the dump" })).await.ok();
    let manifest = world.backups().take().await.unwrap();
    owner.post("/v1/projects", json!({ "name": "Too late" })).await.ok();
    let dump = std::fs::read(world.dump_of(&manifest)).unwrap();
    for text in ["PGDMP", "canary", "projects", "app_tenant"] {
        assert!(!dump.windows(text.len()).any(|it| it == text.as_bytes()), "{text}");
    }
    assert_eq!(manifest.bytes, dump.len() as u64);

    let target = empty().await;
    world.backups().restore(&manifest, &target.options).await.unwrap();
    let names: Vec<String> =
        sqlx::query_scalar("select name from projects").fetch_all(&target.pool).await.unwrap();
    assert_eq!(names, ["A canary in the dump"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_restored_over_data() {
    let Some(world) = World::start().await else { return };
    let manifest = world.backups().take().await.unwrap();
    let refused = world.backups().restore(&manifest, &world.app.database_options()).await;
    assert!(refused.unwrap_err().to_string().contains("is not empty"));
}
