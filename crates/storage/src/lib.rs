//! Files by key, each under the org that owns it, in a directory or in a bucket.

mod archive;
mod check;
mod config;
mod error;
mod key;
mod leftovers;
mod presign;
pub mod rules;
mod stream;

use std::{fmt, fs, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use app::{Check, Module};
use bytes::Bytes;
use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    local::LocalFileSystem,
};
use secrecy::ExposeSecret;
use url::Url;

pub use archive::Archive;
pub use config::Config;
pub use error::{Error, Result};
pub use key::Key;
pub use stream::{Content, Object, Writer};

use presign::Presigner;

/// Buckets take no smaller parts.
const BUCKET_PART: usize = 5 * 1024 * 1024;
const DIRECTORY_PART: usize = 256 * 1024;

/// Storage answers nothing by itself; it only has to work.
pub fn module(storage: Storage) -> Module {
    let probe = move || check::round_trip(storage.clone());
    Module { checks: vec![Check::degrading("storage", probe)], ..Module::default() }
}

/// Where files are kept.
#[derive(Clone)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    /// Only of buckets.
    presigner: Option<Arc<Presigner>>,
    /// Only of directories.
    directory: Option<PathBuf>,
    /// Of what is written while many others write.
    part_bytes: usize,
    max_bytes: u64,
}

/// What whoever reads an object is told of it.
#[derive(Clone, Debug)]
pub struct Labels {
    /// Its `Content-Type`.
    pub content_type: String,
    /// Its `Content-Disposition`.
    pub content_disposition: String,
}

impl Storage {
    /// Opens the bucket of `config`, or its directory, which is made if it is missing.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        let max_bytes = config.storage_max_object_bytes;
        if let Some(bucket) = &config.s3_bucket {
            return Ok(Self {
                store: Arc::new(open_bucket(config, bucket)?),
                presigner: Some(Arc::new(Presigner::new(config, bucket)?)),
                directory: None,
                part_bytes: BUCKET_PART,
                max_bytes,
            });
        }
        fs::create_dir_all(&config.storage_dir)?;
        let store = LocalFileSystem::new_with_prefix(&config.storage_dir)?;
        let store = store.with_fsync(true).with_automatic_cleanup(true);
        Ok(Self {
            store: Arc::new(store),
            presigner: None,
            directory: Some(config.storage_dir.clone()),
            part_bytes: DIRECTORY_PART,
            max_bytes,
        })
    }

    /// Bytes that one file may have.
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Keeps `bytes` under `key`. Readers see all of them or what was there before.
    pub async fn put(&self, key: &Key, bytes: Bytes) -> Result<()> {
        let size = bytes.len() as u64;
        if size > self.max_bytes {
            return Err(Error::TooLarge { size, max: self.max_bytes });
        }
        self.store.put(key.path(), bytes.into()).await?;
        Ok(())
    }

    /// What is kept under `key`.
    pub async fn get(&self, key: &Key) -> Result<Bytes> {
        Ok(self.store.get(key.path()).await?.bytes().await?)
    }

    /// Forgets what is kept under `key`; nothing there is fine.
    pub async fn delete(&self, key: &Key) -> Result<()> {
        match self.store.delete(key.path()).await.map_err(Error::from) {
            Err(Error::NotFound) => Ok(()),
            result => result,
        }
    }

    /// Whether something is kept under `key`.
    pub async fn exists(&self, key: &Key) -> Result<bool> {
        match self.store.head(key.path()).await.map_err(Error::from) {
            Err(Error::NotFound) => Ok(false),
            result => result.map(|_| true),
        }
    }

    /// A URL from which anybody reads `key` for `life`, as `labels` say; `None`: a directory has none.
    pub fn presigned_get(&self, key: &Key, labels: &Labels, life: Duration) -> Option<Url> {
        self.presigner.as_ref().map(|presigner| presigner.get(key, labels, life))
    }

    /// A URL to which anybody puts an object of exactly `bytes` under `key` for `life`; `None`: likewise.
    pub fn presigned_put(&self, key: &Key, bytes: u64, life: Duration) -> Option<Url> {
        self.presigner.as_ref().map(|presigner| presigner.put(key, bytes, life))
    }
}

fn open_bucket(config: &Config, bucket: &str) -> anyhow::Result<AmazonS3> {
    let mut endpoint = config.endpoint()?;
    if !config.s3_path_style {
        let host = endpoint.host_str().context("S3_ENDPOINT has no host")?;
        endpoint.set_host(Some(&format!("{bucket}.{host}")))?;
    }
    let key = config.s3_access_key_id.as_deref().context("S3_ACCESS_KEY_ID is not set")?;
    let secret = config.s3_secret_access_key.as_ref().context("S3_SECRET_ACCESS_KEY is not set")?;
    // Whoever waits is told before a proxy gives up; a transfer takes as long as bytes come.
    let client = ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(5))
        .with_timeout_disabled()
        .with_read_timeout(Duration::from_secs(20));
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() },
        max_retries: 3,
        retry_timeout: Duration::from_secs(20),
    };
    Ok(AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&config.s3_region)
        .with_endpoint(endpoint.as_str().trim_end_matches('/'))
        .with_virtual_hosted_style_request(!config.s3_path_style)
        .with_access_key_id(key)
        .with_secret_access_key(secret.expose_secret())
        .with_client_options(client.with_allow_http(endpoint.scheme() == "http"))
        .with_retry(retry)
        .build()?)
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Storage").field(&self.store).finish()
    }
}
