//! Objects too large for memory: written and read piece by piece.

use std::{io, ops::Range};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{Attribute, Attributes, GetOptions, GetRange, ObjectStore, buffered::BufWriter};
use tokio::io::AsyncWriteExt;

use crate::{Error, Key, Labels, Result, Storage};

/// Bytes of a part. A store takes up to 10,000 parts, so an object has at most 312 GiB.
const PART: usize = 32 * 1024 * 1024;
/// Parts that are under way at once; each is in memory.
const PARTS_AT_ONCE: usize = 2;

/// Writes an object. Nobody sees any of it before [`Writer::finish`] is done, nor ever if it is not.
#[derive(Debug)]
pub struct Writer(BufWriter);

/// What an object contains, or a part of it, as it comes.
pub struct Content {
    /// How many bytes the whole object has.
    pub size: u64,
    /// Which of them come.
    pub range: Range<u64>,
    /// They themselves.
    pub stream: BoxStream<'static, Result<Bytes>>,
}

/// An object in a list.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its name.
    pub key: Key,
    /// Its size.
    pub bytes: u64,
    /// When it was put there.
    pub modified: DateTime<Utc>,
}

impl Writer {
    /// Adds `bytes` to the end.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        // Copied together: many small pieces, kept one by one, take many times their size.
        self.0.write_all(&bytes).await.map_err(failed)
    }

    /// Shows the object.
    pub async fn finish(mut self) -> Result<()> {
        self.0.shutdown().await.map_err(failed)
    }

    /// Removes what was written so far.
    pub async fn abandon(mut self) -> Result<()> {
        Ok(self.0.abort().await?)
    }
}

fn failed(error: io::Error) -> Error {
    object_store::Error::Generic { store: "storage", source: Box::new(error) }.into()
}

impl Storage {
    /// Begins an object of any size. No cap applies: only programs of our own write like this.
    pub fn writer(&self, key: &Key) -> Writer {
        let writer = BufWriter::with_capacity(self.store.clone(), key.path().clone(), PART);
        Writer(writer.with_max_concurrency(PARTS_AT_ONCE))
    }

    /// The same for what customers send, many at the same time: in little memory. Whoever reads it from the
    /// bucket itself is told `labels`.
    pub fn labelled_writer(&self, key: &Key, labels: &Labels) -> Writer {
        let path = key.path().clone();
        let writer = BufWriter::with_capacity(self.store.clone(), path, self.part_bytes);
        let writer = writer.with_max_concurrency(1);
        if self.directory.is_some() {
            return Writer(writer);
        }
        Writer(writer.with_attributes(Attributes::from_iter([
            (Attribute::ContentType, labels.content_type.clone()),
            (Attribute::ContentDisposition, labels.content_disposition.clone()),
        ])))
    }

    /// What is kept under `key`, piece by piece.
    pub async fn reader(&self, key: &Key) -> Result<BoxStream<'static, Result<Bytes>>> {
        Ok(self.read(key, None).await?.stream)
    }

    /// The same with its size, or only `range` of it.
    pub async fn read(&self, key: &Key, range: Option<Range<u64>>) -> Result<Content> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let found = self.store.get_opts(key.path(), options).await?;
        let (size, range) = (found.meta.size, found.range.clone());
        Ok(Content { size, range, stream: found.into_stream().map_err(Error::from).boxed() })
    }

    /// Every object below `prefix`, in no order. Unfinished ones are not among them.
    pub fn list(&self, prefix: &Key) -> impl Stream<Item = Result<Object>> + Send + use<> {
        self.store.list(Some(prefix.path())).map_err(Error::from).map_ok(|it| Object {
            key: Key::from(it.location),
            bytes: it.size,
            modified: it.last_modified,
        })
    }

    /// Forgets every object below `prefix`; answers how many those were.
    pub async fn delete_all(&self, prefix: &Key) -> Result<u64> {
        let (mut objects, mut deleted) = (std::pin::pin!(self.list(prefix)), 0);
        while let Some(object) = objects.try_next().await? {
            self.delete(&object.key).await?;
            deleted += 1;
        }
        Ok(deleted)
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
