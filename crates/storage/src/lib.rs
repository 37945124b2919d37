//! Files by key, each under the org that owns it.

mod check;
mod config;
mod error;
mod key;
mod stream;

use std::{fs, sync::Arc};

use app::{Check, Module};
use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem};

pub use config::Config;
pub use error::{Error, Result};
pub use key::Key;
pub use stream::Writer;

/// Storage answers nothing by itself; it only has to work.
pub fn module(storage: Storage) -> Module {
    let probe = move || check::round_trip(storage.clone());
    Module { checks: vec![Check::degrading("storage", probe)], ..Module::default() }
}

/// Where files are kept.
#[derive(Clone, Debug)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    max_bytes: u64,
}

impl Storage {
    /// Opens the directory of `config`, and makes it if it is missing.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        fs::create_dir_all(&config.storage_dir)?;
        let store = LocalFileSystem::new_with_prefix(&config.storage_dir)?.with_fsync(true);
        Ok(Self { store: Arc::new(store), max_bytes: config.storage_max_object_bytes })
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
}
