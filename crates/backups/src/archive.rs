use anyhow::{Context, ensure};
use bytes::Bytes;
use chrono::TimeDelta;
use futures::StreamExt;
use kernel::Id;
use sealing::{OpenStream, Sealer};
use sha2::{Digest, Sha256};
use storage::{Key, Storage};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{Backup, Config, Manifest};

/// The kind of the objects.
const KIND: &str = "backups";
/// Bytes that are encrypted at once.
const PIECE: usize = 256 * 1024;

/// Where backups are kept, and the keys to them.
#[derive(Clone)]
pub(crate) struct Archive {
    storage: Storage,
    sealer: Sealer,
}

/// What was written.
pub(crate) struct Written {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl Archive {
    /// `None`: there is no key.
    pub(crate) fn open(config: &Config, files: &storage::Config) -> anyhow::Result<Option<Self>> {
        if config.backup_key.is_none() {
            return Ok(None);
        }
        let storage = Storage::open(&config.storage(files))?;
        Ok(Some(Self { storage, sealer: Sealer::new(config.keys(), KIND)? }))
    }

    /// Every backup, the newest first. One whose manifest cannot be read keeps nobody from the others.
    pub(crate) async fn list(&self) -> anyhow::Result<Vec<Manifest>> {
        let mut manifests = Vec::new();
        for name in self.storage.names(KIND).await?.iter().rev() {
            let id = name.strip_suffix(".json").and_then(|id| id.parse().ok());
            let Some(id) = id else { continue };
            match self.get(id).await {
                Ok(manifest) => manifests.extend(manifest),
                Err(error) if error.is::<serde_json::Error>() => {
                    tracing::error!(%id, "the manifest of a backup cannot be read");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(manifests)
    }

    /// One of them, if there is one with this id.
    pub(crate) async fn get(&self, id: Id<Backup>) -> anyhow::Result<Option<Manifest>> {
        match self.storage.get(&key(&Manifest::name(id))).await {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(storage::Error::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes what those left in a directory who died in the middle of writing, `age` ago.
    pub(crate) async fn remove_leftovers(&self, age: TimeDelta) -> anyhow::Result<u64> {
        Ok(self.storage.remove_leftovers(age.to_std()?).await?)
    }

    /// Encrypts and keeps what `dump` says, if it is `complete` when it ends. It becomes a backup only with its
    /// manifest.
    pub(crate) async fn write(
        &self,
        id: Id<Backup>,
        mut dump: impl AsyncRead + Unpin,
        complete: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<Written> {
        let mut writer = self.storage.writer(&key(&Manifest::dump(id)));
        let mut stream = self.sealer.seal_stream(id.to_string().as_bytes())?;
        let (mut hash, mut bytes, mut piece) = (Sha256::new(), 0, vec![0; PIECE]);
        loop {
            let read = dump.read(&mut piece).await?;
            if read == 0 {
                break;
            }
            let sealed = stream.push(&piece[..read]);
            hash.update(&sealed);
            bytes += sealed.len() as u64;
            writer.write(sealed.into()).await?;
        }
        if let Err(error) = complete.await {
            writer.abandon().await?;
            return Err(error);
        }
        let sealed = stream.finish();
        hash.update(&sealed);
        bytes += sealed.len() as u64;
        writer.write(sealed.into()).await?;
        writer.finish().await?;
        Ok(Written { bytes, sha256: hex::encode(hash.finalize()) })
    }

    /// Makes what was written a backup.
    pub(crate) async fn publish(&self, manifest: &Manifest) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(manifest)?;
        Ok(self.storage.put(&key(&Manifest::name(manifest.id)), text.into()).await?)
    }

    /// Decrypts a dump into `take`, as far as it is proved authentic. Fails if anything is missing or changed.
    pub(crate) async fn read(
        &self,
        manifest: &Manifest,
        mut take: impl AsyncFnMut(Vec<u8>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let id = manifest.id;
        let mut objects =
            self.storage.reader(&key(&Manifest::dump(id))).await.context("no dump")?;
        let mut stream: OpenStream = self.sealer.open_stream(id.to_string().as_bytes());
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        while let Some(piece) = objects.next().await {
            let piece: Bytes = piece?;
            hash.update(&piece);
            bytes += piece.len() as u64;
            take(stream.push(&piece).with_context(|| format!("backup {id}"))?).await?;
        }
        take(stream.finish().with_context(|| format!("backup {id}"))?).await?;
        let same = bytes == manifest.bytes && hex::encode(hash.finalize()) == manifest.sha256;
        ensure!(same, "backup {id} is authentic, but is not what its manifest says");
        Ok(())
    }

    /// Forgets a backup: its manifest first, so that no half of one is ever listed.
    pub(crate) async fn delete(&self, id: Id<Backup>) -> anyhow::Result<()> {
        self.storage.delete(&key(&Manifest::name(id))).await?;
        Ok(self.storage.delete(&key(&Manifest::dump(id))).await?)
    }

    /// Dumps without a manifest: those being made, and those whose maker died.
    pub(crate) async fn unfinished(&self) -> anyhow::Result<Vec<Id<Backup>>> {
        let names = self.storage.names(KIND).await?;
        let id = |name: &String| name.strip_suffix(".dump")?.parse::<Id<Backup>>().ok();
        let ids = names.iter().filter_map(id);
        Ok(ids.filter(|id| !names.contains(&Manifest::name(*id))).collect())
    }
}

fn key(name: &str) -> Key {
    Key::platform(KIND, name)
}
