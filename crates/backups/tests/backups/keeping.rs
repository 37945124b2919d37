use std::fs;

use chrono::TimeDelta;
use kernel::Id;
use secrecy::SecretString;
use testing::TestApp;

use crate::support::{KEY, World, config};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_past_their_days_are_forgotten_but_never_the_newest_few() {
    let Some(world) = World::start().await else { return };
    let backups = world.backups();
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(backups.take().await.unwrap().id);
        world.app.advance(TimeDelta::days(20));
    }
    made.reverse();
    // They are 20, 40 and 60 days old now.
    assert_eq!(backups.prune().await.unwrap(), 1, "the newest two are kept whatever their age");
    let ids = async || backups.list().await.unwrap().iter().map(|it| it.id).collect::<Vec<_>>();
    assert_eq!(ids().await, made[..2]);
    assert_eq!(fs::read_dir(world.folder()).unwrap().count(), 4, "its dump is gone too");
    assert_eq!(backups.prune().await.unwrap(), 0);
    world.backups_with(|config| config.backup_keep_least = 1).prune().await.unwrap();
    assert_eq!(ids().await, made[..1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_without_a_manifest_is_no_backup_and_goes_when_nobody_can_be_making_it() {
    let Some(world) = World::start().await else { return };
    let backups = world.backups();
    let kept = backups.take().await.unwrap();
    let left = world.folder().join(format!("{}.dump", Id::<backups::Backup>::new()));
    fs::write(&left, "one whose maker died before the manifest").unwrap();
    let half = world.folder().join(format!("{}.dump#1", Id::<backups::Backup>::new()));
    fs::write(&half, "one whose maker died before the end").unwrap();
    let old = std::process::Command::new("touch").args(["-d", "3 days ago"]).arg(&half).status();
    assert!(old.unwrap().success());
    assert_eq!(backups.list().await.unwrap().len(), 1);
    assert_eq!(backups.find(None).await.unwrap(), kept);
    backups.prune().await.unwrap();
    assert!(left.exists(), "it may be under way");
    assert!(!half.exists(), "nobody writes it any more");

    world.app.advance(TimeDelta::days(4));
    assert_eq!(backups.prune().await.unwrap(), 1);
    assert!(!left.exists());
    assert_eq!(backups.list().await.unwrap(), [kept]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_manifest_that_cannot_be_read_keeps_nobody_from_the_others() {
    let Some(world) = World::start().await else { return };
    let backups = world.backups();
    let kept = backups.take().await.unwrap();
    let damaged = Id::<backups::Backup>::new();
    for name in ["notes.json", "notes.txt", &format!("{damaged}.json")] {
        fs::write(world.folder().join(name), "no manifest").unwrap();
    }
    assert_eq!(backups.list().await.unwrap(), std::slice::from_ref(&kept));
    assert_eq!(backups.find(None).await.unwrap(), kept);
    assert_eq!(backups.find(Some(kept.id)).await.unwrap(), kept);
    assert!(backups.find(Some(damaged)).await.is_err());
    assert_eq!(backups.prune().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_makes_them_and_takes_note() {
    let Some(world) = World::start().await else { return };
    let directory = tempfile::tempdir().unwrap();
    let app = TestApp::start_with(|settings| settings.backups = config(directory.path())).await;
    let queue = "select graphile_worker.add_job('backups.take', '{\"job\": {}}')";
    sqlx::query(queue).execute(app.db.pool()).await.unwrap();
    app.run_jobs().await;
    let noted: (bool, Option<String>) = sqlx::query_as("select bytes > 1000, error from backups")
        .fetch_one(app.db.pool())
        .await
        .unwrap();
    assert_eq!(noted, (true, None));
    assert_eq!(fs::read_dir(directory.path().join("backups/platform/backups")).unwrap().count(), 2);
    assert_eq!(backups::module(world.backups()).schedules.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_there_are_none_and_a_guessable_one_is_refused() {
    let Some(world) = World::start().await else { return };
    let keyless = world.backups_with(|config| config.backup_key = None);
    assert!(keyless.take().await.unwrap_err().to_string().contains("BACKUP_KEY is not set"));
    assert!(backups::module(keyless).schedules.is_empty());
    for (key, problems) in
        [(KEY, 0), ("short", 1), ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1)]
    {
        let mut config = world.config.clone();
        config.backup_key = Some(SecretString::from(key));
        let found = config.problems(&world.app.settings.storage, world.app.settings.app_env);
        assert_eq!(found.len(), problems, "{found:?}");
        assert!(!found.concat().contains(key), "it is not told");
    }
}

#[tokio::test]
async fn backups_are_not_kept_in_the_bucket_of_files() {
    let Some(world) = World::start().await else { return };
    let mut files = world.app.settings.storage.clone();
    files.s3_bucket = Some("acme".into());
    for (bucket, refused) in [("acme", true), ("acme-backups", false)] {
        let config = backups::Config { backup_bucket: Some(bucket.into()), ..world.config.clone() };
        let problems = config.problems(&files, world.app.settings.app_env);
        let named = problems.iter().any(|it| it.contains("another bucket than S3_BUCKET"));
        assert_eq!(named, refused, "{bucket}: {problems:?}");
    }
}
