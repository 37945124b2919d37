//! Objects too large for memory: written and read piece by piece.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{ObjectStoreExt, buffered::BufWriter};
use tokio::io::AsyncWriteExt;

use crate::{Error, Key, Result, Storage};

/// Bytes of a part. A store takes up to 10,000 parts, so an object has at most 312 GiB.
const PART: usize = 32 * 1024 * 1024;
/// Parts that are under way at once; each is in memory.
const PARTS_AT_ONCE: usize = 2;

/// Writes an object. Nobody sees any of it before [`Writer::finish`] is done, nor ever if it is not.
#[derive(Debug)]
pub struct Writer(BufWriter);

impl Writer {
    /// Adds `bytes` to the end.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        Ok(self.0.put(bytes).await?)
    }

    /// Shows the object.
    pub async fn finish(mut self) -> Result<()> {
        let failed = |error| object_store::Error::Generic { store: "storage", source: error };
        self.0.shutdown().await.map_err(|error| Error::Unavailable(failed(Box::new(error))))
    }

    /// Removes what was written so far.
    pub async fn abandon(mut self) -> Result<()> {
        Ok(self.0.abort().await?)
    }
}

impl Storage {
    /// Begins an object of any size. No cap applies: only programs of our own write like this.
    pub fn writer(&self, key: &Key) -> Writer {
        let writer = BufWriter::with_capacity(self.store.clone(), key.path().clone(), PART);
        Writer(writer.with_max_concurrency(PARTS_AT_ONCE))
    }

    /// What is kept under `key`, piece by piece.
    pub async fn reader(&self, key: &Key) -> Result<BoxStream<'static, Result<Bytes>>> {
        let object = self.store.get(key.path()).await?;
        Ok(object.into_stream().map_err(Error::from).boxed())
    }

    /// The names of the platform's objects of one `kind`, in order. Unfinished ones are not among them.
    pub async fn names(&self, kind: &'static str) -> Result<Vec<String>> {
        let objects = self.store.list(Some(&Key::folder(kind)));
        let mut names: Vec<String> = objects
            .try_filter_map(|it| async move { Ok(it.location.filename().map(str::to_owned)) })
            .try_collect()
            .await?;
        names.sort_unstable();
        Ok(names)
    }
}
