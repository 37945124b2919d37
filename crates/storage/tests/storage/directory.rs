//! What whoever keeps a file in a directory may rely on.

use std::fs;

use bytes::Bytes;
use futures::StreamExt;
use kernel::{Id, Org, User};
use storage::{Config, Error, Key, Storage};
use tempfile::TempDir;
use web::Problem;

use crate::config;

/// Only names a kind of id.
struct Picture;

fn open(dir: &TempDir) -> Storage {
    let storage_dir = dir.path().join("files");
    Storage::open(&Config { storage_dir, storage_max_object_bytes: 1 << 20, ..config(dir) })
        .unwrap()
}

fn key() -> Key {
    Key::new(Id::<Org>::new(), "pictures", Id::<Picture>::new())
}

#[tokio::test]
async fn what_was_kept_comes_back_until_it_is_deleted() {
    let dir = TempDir::new().unwrap();
    let (storage, key) = (open(&dir), key());
    storage.put(&key, Bytes::from_static(b"first")).await.unwrap();
    storage.put(&key, Bytes::from_static(b"second")).await.unwrap();
    assert!(storage.exists(&key).await.unwrap());
    assert_eq!(open(&dir).get(&key).await.unwrap(), "second");

    storage.delete(&key).await.unwrap();
    storage.delete(&key).await.unwrap();
    assert!(!storage.exists(&key).await.unwrap());
    assert!(matches!(storage.get(&key).await, Err(Error::NotFound)));
}

#[tokio::test]
async fn the_same_id_under_another_org_is_another_file() {
    let dir = TempDir::new().unwrap();
    let (storage, id) = (open(&dir), Id::<Picture>::new());
    let [ours, theirs] = [(); 2].map(|()| Key::new(Id::new(), "pictures", id));
    storage.put(&ours, Bytes::from_static(b"ours")).await.unwrap();
    assert!(!storage.exists(&theirs).await.unwrap());
}

#[tokio::test]
async fn a_file_over_the_cap_is_refused_and_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    let (storage, key) = (open(&dir), key());
    storage.put(&key, Bytes::from(vec![0; 1 << 20])).await.unwrap();
    storage.delete(&key).await.unwrap();

    let refused = storage.put(&key, Bytes::from(vec![0; (1 << 20) + 1])).await.unwrap_err();
    assert!(!storage.exists(&key).await.unwrap());
    let problem = Problem::from(refused);
    assert_eq!((problem.status.as_u16(), problem.code), (413, "file_too_large"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_sees_the_old_or_the_new_file_and_never_a_mixture() {
    let dir = TempDir::new().unwrap();
    let (storage, key) = (open(&dir), key());
    let versions = [b'a', b'b'].map(|byte| Bytes::from(vec![byte; 1 << 20]));
    storage.put(&key, versions[0].clone()).await.unwrap();

    let writer = tokio::spawn({
        let (storage, key, versions) = (storage.clone(), key.clone(), versions.clone());
        async move {
            for version in versions.iter().cycle().take(40) {
                storage.put(&key, version.clone()).await.unwrap();
            }
        }
    });
    while !writer.is_finished() {
        assert!(versions.contains(&storage.get(&key).await.unwrap()));
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn the_check_fails_when_the_directory_cannot_be_written() {
    let dir = TempDir::new().unwrap();
    let [check] = storage::module(open(&dir)).checks.try_into().unwrap();
    check.run().await.unwrap();
    assert!(!check.critical);

    let files = dir.path().join("files");
    fs::remove_dir_all(&files).unwrap();
    fs::write(&files, "not a directory").unwrap();
    check.run().await.unwrap_err();
}

#[tokio::test]
async fn the_check_leaves_nothing_behind() {
    let dir = TempDir::new().unwrap();
    let [check] = storage::module(open(&dir)).checks.try_into().unwrap();
    check.run().await.unwrap();
    assert_eq!(fs::read_dir(dir.path().join("files")).unwrap().count(), 0);
}

#[tokio::test]
async fn an_object_written_in_pieces_is_seen_whole_or_not_at_all() {
    let dir = TempDir::new().unwrap();
    let (storage, key) = (open(&dir), Key::platform("dumps", "one"));
    // Larger than what is kept in memory, and than the cap of files that customers send.
    let piece = Bytes::from(vec![7; 12 << 20]);
    let mut writer = storage.writer(&key);
    for _ in 0..4 {
        writer.write(piece.clone()).await.unwrap();
        assert_eq!(storage.names("dumps").await.unwrap(), [""; 0], "it is not finished");
    }
    writer.finish().await.unwrap();
    assert_eq!(storage.names("dumps").await.unwrap(), ["one"]);
    assert_eq!(storage.names("others").await.unwrap(), [""; 0]);
    let mut reader = storage.reader(&key).await.unwrap();
    let mut size = 0;
    while let Some(piece) = reader.next().await {
        size += piece.unwrap().len();
    }
    assert_eq!(size, 48 << 20);

    let mut abandoned = storage.writer(&Key::platform("dumps", "two"));
    for _ in 0..4 {
        abandoned.write(piece.clone()).await.unwrap();
    }
    abandoned.abandon().await.unwrap();
    assert_eq!(storage.names("dumps").await.unwrap(), ["one"]);
    let left = fs::read_dir(dir.path().join("files/platform/dumps")).unwrap().count();
    assert_eq!(left, 1, "nothing is left of it");
}

#[tokio::test]
async fn what_is_kept_for_somebody_is_found_and_forgotten_together() {
    let dir = TempDir::new().unwrap();
    let storage = open(&dir);
    let (org, other, person) = (Id::<Org>::new(), Id::<Org>::new(), Id::<User>::new());
    let id = Id::<Org>::new();
    let keys = [Key::new(org, "avatars", id), Key::new(org, "exports", id)];
    let kept = [Key::new(other, "avatars", id), Key::of_person(person, "exports", id)];
    for key in keys.iter().chain(&kept) {
        storage.put(key, Bytes::from_static(b"x")).await.unwrap();
    }

    let found = storage.list(&Key::all_of(org)).map(|it| it.unwrap().key.local_name());
    let mut names: Vec<String> = found.collect().await;
    names.sort();
    assert_eq!(names, [format!("avatars/{id}"), format!("exports/{id}")]);
    assert_eq!(storage.delete_all(&Key::all_of(org)).await.unwrap(), 2);
    assert_eq!(storage.delete_all(&Key::all_of(org)).await.unwrap(), 0, "again");
    for key in &keys {
        assert!(!storage.exists(key).await.unwrap());
    }
    for key in &kept {
        assert!(storage.exists(key).await.unwrap(), "it is somebody else's");
    }
    assert_eq!(storage.delete_all(&Key::all_of_person(person)).await.unwrap(), 1);
}
