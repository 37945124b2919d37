use std::fs;

use backups::Manifest;
use secrecy::SecretString;
use sqlx::PgPool;

use crate::support::{KEY, World, empty};

const HEADER: usize = 48;
const SEGMENT: usize = 64 * 1024 + 16;

async fn is_empty(pool: &PgPool) -> bool {
    let tables = "select count(*) from pg_tables where schemaname in ('public', 'graphile_worker')";
    sqlx::query_scalar::<_, i64>(tables).fetch_one(pool).await.unwrap() == 0
}

/// Restoring fails, and leaves nothing of what was right before the damage.
async fn assert_refused(world: &World, manifest: &Manifest, what: &str, because: &str) {
    let backups = world.backups();
    let checked = backups.check(manifest).await.expect_err(what);
    assert!(format!("{checked:#}").contains(because), "{what}: {checked:#}");
    let target = empty().await;
    let restored = backups.restore(manifest, &target.options).await.expect_err(what);
    assert!(format!("{restored:#}").contains(because), "{what}: {restored:#}");
    assert!(is_empty(&target.pool).await, "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_backup_is_refused_and_leaves_the_target_empty() {
    let Some(world) = World::start().await else { return };
    world.fill().await;
    let manifest = world.backups().take().await.unwrap();
    let file = world.dump_of(&manifest);
    let whole = fs::read(&file).unwrap();
    let segments = (whole.len() - HEADER).div_ceil(SEGMENT);
    assert!(segments > 4, "{segments}");
    let border = |segment: usize| HEADER + segment * SEGMENT;

    let mut flipped = whole.clone();
    flipped[border(segments - 1) + 100] ^= 1;
    let mut reordered = whole.clone();
    reordered[border(1)..border(2)].copy_from_slice(&whole[border(2)..border(3)]);
    reordered[border(2)..border(3)].copy_from_slice(&whole[border(1)..border(2)]);
    let left_out = [&whole[..border(2)], &whole[border(3)..]].concat();
    for (what, bytes, because) in [
        ("a flipped bit", flipped.as_slice(), "not authentic"),
        ("reordered segments", &reordered, "not authentic"),
        ("a segment left out", &left_out, "not authentic"),
        ("cut off in a segment", &whole[..whole.len() - 7], "not authentic"),
        ("cut off after a segment", &whole[..border(segments - 1)], "not authentic"),
        ("only the header", &whole[..HEADER], "not authentic"),
        ("something else", b"PGDMP, but not by us, and longer than a header", "not sealed by this"),
        ("nothing", b"", "not sealed by this"),
    ] {
        fs::write(&file, bytes).unwrap();
        assert_refused(&world, &manifest, what, because).await;
    }
    fs::remove_file(&file).unwrap();
    assert_refused(&world, &manifest, "no dump", "no dump").await;

    // Another backup's dump, whole and with the same key, is not this one.
    let other = world.backups().take().await.unwrap();
    fs::copy(world.dump_of(&other), &file).unwrap();
    assert_refused(&world, &manifest, "another's dump", "not authentic").await;

    fs::write(&file, whole).unwrap();
    world.backups().check(&manifest).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_key_opens_nothing_and_the_previous_key_opens_what_it_sealed() {
    let Some(world) = World::start().await else { return };
    let manifest = world.backups().take().await.unwrap();
    let other = || Some(SecretString::from("another-Key-that-is-32-bytes-long-1"));
    let wrong = world.backups_with(|config| config.backup_key = other());
    let refused = wrong.check(&manifest).await.unwrap_err();
    assert!(format!("{refused:#}").contains("another key"), "{refused:#}");
    let target = empty().await;
    assert!(wrong.restore(&manifest, &target.options).await.is_err());
    assert!(is_empty(&target.pool).await);

    let rotated = world.backups_with(|config| {
        config.backup_key = other();
        config.backup_key_previous = Some(SecretString::from(KEY));
    });
    rotated.check(&manifest).await.unwrap();
    let newer = rotated.take().await.unwrap();
    rotated.check(&newer).await.unwrap();
    assert!(world.backups().check(&newer).await.is_err());
}
