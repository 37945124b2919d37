use std::fs;

use crate::support::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_that_fails_is_no_backup_and_its_error_is_noted() {
    let Some(world) = World::start().await else { return };
    let major = world.backups().programs().await.unwrap();
    let program = "head -c 40000000 /dev/urandom; echo 'the table is gone' >&2; exit 3";
    let fails = world.programs(&format!("{major}.1"), program);
    let backups = world.backups_with(|config| config.backup_bin_dir = Some(fails));
    let error = format!("{:#}", backups.take().await.unwrap_err());
    assert!(error.contains("pg_dump: exit status: 3: the table is gone"), "{error}");
    assert_eq!(backups.list().await.unwrap(), []);
    assert!(fs::read_dir(world.folder()).is_ok_and(|mut left| left.next().is_none()));
    let noted: (bool, Option<String>) =
        sqlx::query_as("select finished_at is not null, error from backups")
            .fetch_one(world.app.db.pool())
            .await
            .unwrap();
    assert_eq!(noted, (true, Some(error)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_newer_than_every_pg_dump_is_said_with_what_to_install() {
    let Some(world) = World::start().await else { return };
    let old = world.programs("12.4", "exit 1");
    let backups = world.backups_with(|config| config.backup_bin_dir = Some(old));
    let error = format!("{:#}", backups.take().await.unwrap_err());
    assert!(
        error.contains("pg_dump is of version 12") && error.contains("postgresql-client-"),
        "{error}"
    );

    let nowhere = world.backups_with(|config| config.backup_bin_dir = Some("/nowhere".into()));
    let error = format!("{:#}", nowhere.take().await.unwrap_err());
    assert!(error.contains("not to be found") && error.contains("BACKUP_BIN_DIR"), "{error}");
}

/// `pg_restore` of an older version does not understand the dump.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_of_a_newer_version_is_not_restored_by_an_older_one() {
    let Some(world) = World::start().await else { return };
    let mut manifest = world.backups().take().await.unwrap();
    manifest.pg_dump = 99;
    let target = crate::support::empty().await;
    let error = world.backups().restore(&manifest, &target.options).await.unwrap_err();
    assert!(format!("{error:#}").contains("client programs of PostgreSQL 99"), "{error:#}");
}
