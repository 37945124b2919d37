use anyhow::ensure;
use bytes::Bytes;

use crate::{Key, Storage};

const CONTENT: Bytes = Bytes::from_static(b"probe");

/// Whether a small file can be kept, had and forgotten.
pub(crate) async fn round_trip(storage: Storage) -> anyhow::Result<()> {
    let key = Key::probe();
    storage.put(&key, CONTENT).await?;
    let content = storage.get(&key).await;
    storage.delete(&key).await?;
    ensure!(content? == CONTENT, "a file came back changed");
    Ok(())
}
