//! A directory and a bucket keep the same promises.

mod directory;

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use kernel::Id;
use reqwest::StatusCode;
use storage::{Config, Error, Key, Labels, Storage};
use tempfile::TempDir;
use testing::Bucket;

/// Nothing is at its address unless a bucket is.
fn config(directory: &TempDir) -> Config {
    Config {
        storage_dir: directory.path().to_owned(),
        storage_max_object_bytes: 50_000_000,
        s3_bucket: None,
        s3_endpoint: None,
        s3_region: "us-east-1".to_owned(),
        s3_access_key_id: None,
        s3_secret_access_key: None,
        s3_path_style: true,
    }
}

fn in_directory() -> (TempDir, Storage) {
    let directory = TempDir::new().unwrap();
    let storage = Storage::open(&config(&directory)).unwrap();
    (directory, storage)
}

async fn in_bucket() -> (Bucket, Storage) {
    let bucket = Bucket::start().await;
    let mut config = config(&TempDir::new().unwrap());
    bucket.settings(&mut config);
    (bucket, Storage::open(&config).unwrap())
}

fn key() -> Key {
    Key::new(Id::new(), "assets", Id::<Storage>::new())
}

fn labels() -> Labels {
    Labels {
        content_type: "text/plain".to_owned(),
        content_disposition: "attachment; filename=\"a.txt\"".to_owned(),
    }
}

/// Eleven million bytes, of which none looks like its neighbours.
fn long() -> Bytes {
    (0..11_000_000_u32).map(|it| (it.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

async fn whole(storage: &Storage, key: &Key) -> Vec<u8> {
    let content = storage.read(key, None).await.unwrap();
    content.stream.try_fold(Vec::new(), append).await.unwrap()
}

async fn append(mut all: Vec<u8>, chunk: Bytes) -> storage::Result<Vec<u8>> {
    all.extend_from_slice(&chunk);
    Ok(all)
}

async fn objects_are_written_read_listed_and_deleted(storage: Storage) {
    let (org, content) = (Id::new(), long());
    let key = Key::new(org, "assets", Id::<Storage>::new());
    assert!(matches!(storage.read(&key, None).await.map(|_| ()), Err(Error::NotFound)));

    let mut writer = storage.labelled_writer(&key, &labels());
    for chunk in content.chunks(70_000) {
        writer.write(content.slice_ref(chunk)).await.unwrap();
    }
    assert!(!storage.exists(&key).await.unwrap(), "it was seen before it was whole");
    writer.finish().await.unwrap();
    assert!(whole(&storage, &key).await == content, "it came back changed");

    let part = storage.read(&key, Some(5_000_000..5_000_010)).await.unwrap();
    assert_eq!((part.size, part.range.clone()), (11_000_000, 5_000_000..5_000_010));
    let read = part.stream.try_fold(Vec::new(), append).await.unwrap();
    assert_eq!(read, content[5_000_000..5_000_010]);

    let upload = Key::new(org, "uploads", Id::<Storage>::new());
    for number in [2, 10, 1] {
        storage.put(&upload.part(number), Bytes::from_static(b"part")).await.unwrap();
    }
    let found: Vec<_> = storage.list(&upload).try_collect().await.unwrap();
    let mut numbers: Vec<_> = found.iter().map(|it| it.key.number().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 10]);
    assert!(found.iter().all(|it| it.bytes == 4 && it.key.names() == upload.names()));
    let all: Vec<_> = storage.list(&Key::all_of(org)).try_collect().await.unwrap();
    assert!(all.len() >= 4, "{all:?}");
    let strangers: Vec<_> = storage.list(&Key::all_of(Id::new())).try_collect().await.unwrap();
    assert!(strangers.is_empty(), "{strangers:?}");

    storage.delete(&key).await.unwrap();
    storage.delete(&key).await.unwrap();
    assert!(!storage.exists(&key).await.unwrap());
}

#[tokio::test]
async fn a_directory_keeps_objects() {
    let (_directory, storage) = in_directory();
    objects_are_written_read_listed_and_deleted(storage).await;
}

#[tokio::test]
async fn a_bucket_keeps_objects() {
    let (_bucket, storage) = in_bucket().await;
    objects_are_written_read_listed_and_deleted(storage).await;
}

#[tokio::test]
async fn a_key_that_the_bucket_does_not_know_is_refused() {
    let bucket = Bucket::start().await;
    let mut config = config(&TempDir::new().unwrap());
    bucket.settings(&mut config);
    config.s3_secret_access_key = Some("another secret".into());
    let storage = Storage::open(&config).unwrap();
    let refused = storage.put(&key(), Bytes::from_static(b"x")).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
}

#[tokio::test]
async fn a_writer_that_is_given_up_leaves_nothing() {
    let (directory, storage) = in_directory();
    let (_bucket, bucket) = in_bucket().await;
    for storage in [&storage, &bucket] {
        let key = key();
        let mut writer = storage.labelled_writer(&key, &labels());
        writer.write(long()).await.unwrap();
        writer.abandon().await.unwrap();
        assert!(!storage.exists(&key).await.unwrap());
    }
    let mut writer = storage.labelled_writer(&key(), &labels());
    writer.write(long()).await.unwrap();
    drop(writer);
    // What a process that was killed would have left.
    let left = directory.path().join("orgs/left#1");
    std::fs::write(&left, b"half").unwrap();
    assert_eq!(storage.remove_leftovers(Duration::from_hours(1)).await.unwrap(), 0);
    assert!(storage.remove_leftovers(Duration::ZERO).await.unwrap() >= 1);
    assert!(!left.exists());
}

#[tokio::test]
async fn a_presigned_url_puts_one_object_of_one_length_and_reads_it_as_labelled() {
    let (_bucket, storage) = in_bucket().await;
    let (key, http, life) = (key(), reqwest::Client::new(), Duration::from_mins(1));
    let put = async |url: &str, body: &'static str| {
        http.put(url).body(body).send().await.unwrap().status()
    };

    let url = storage.presigned_put(&key, 5, life).unwrap();
    assert_eq!(put(url.as_str(), "longer").await, StatusCode::FORBIDDEN);
    assert_eq!(put(url.as_str(), "less").await, StatusCode::FORBIDDEN);
    let elsewhere = url.as_str().replace(&key.to_string(), &self::key().to_string());
    assert_eq!(put(&elsewhere, "hello").await, StatusCode::FORBIDDEN);
    assert!(!storage.exists(&key).await.unwrap());
    assert_eq!(put(url.as_str(), "hello").await, StatusCode::OK);
    assert_eq!(storage.get(&key).await.unwrap(), "hello");

    let url = storage.presigned_get(&key, &labels(), life).unwrap();
    let read = http.get(url.clone()).send().await.unwrap();
    assert_eq!(read.status(), StatusCode::OK);
    assert_eq!(read.headers()["content-type"], "text/plain");
    assert_eq!(read.headers()["content-disposition"], labels().content_disposition.as_str());
    let forged = http.get(url.as_str().replace("text%2Fplain", "text%2Fhtml")).send().await;
    assert_eq!(forged.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(put(url.as_str(), "hello").await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_directory_presigns_nothing() {
    let (_directory, storage) = in_directory();
    assert!(storage.presigned_put(&key(), 5, Duration::from_mins(1)).is_none());
    assert!(storage.presigned_get(&key(), &labels(), Duration::from_mins(1)).is_none());
}

#[tokio::test]
async fn a_bucket_that_fails_is_an_outage_that_ends_by_itself() {
    let (bucket, storage) = in_bucket().await;
    let key = key();
    bucket.fail_with(Some(StatusCode::FORBIDDEN));
    let failed = storage.put(&key, Bytes::from_static(b"x")).await;
    assert!(matches!(failed, Err(Error::Unavailable(_))), "{failed:?}");
    assert!(storage.presigned_put(&key, 5, Duration::from_mins(1)).is_some());
    bucket.fail_with(None);
    storage.put(&key, Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(storage.get(&key).await.unwrap(), "x");
}

#[test]
fn a_key_says_whose_it_names() {
    let (org, id) = (Id::new(), Id::<Storage>::new());
    let key = Key::new(org, "uploads", id);
    assert_eq!(key.names(), Some((org, "uploads".to_owned(), id.uuid())));
    assert_eq!(key.part(7).names(), key.names());
    assert_eq!((key.part(7).number(), key.number()), (Some(7), None));
}
