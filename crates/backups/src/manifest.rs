use chrono::{DateTime, Utc};
use kernel::Id;
use serde::{Deserialize, Serialize};

/// Names a kind of id.
#[derive(Clone, Copy, Debug)]
pub struct Backup;

/// What is known of a backup. Written when the dump is complete, so that its presence says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Identifies it. Newer ones are greater.
    pub id: Id<Backup>,
    /// Everything that was committed by then is in it.
    pub started_at: DateTime<Utc>,
    /// When it was complete.
    pub finished_at: DateTime<Utc>,
    /// Bytes of the dump as it is kept.
    pub bytes: u64,
    /// Their SHA-256, in hex.
    pub sha256: String,
    /// The major version of the server.
    pub postgres: u32,
    /// The major version of `pg_dump`, which that of `pg_restore` must not be below.
    pub pg_dump: u32,
    /// The newest migration that is applied in it.
    pub migration: i64,
}

impl Manifest {
    /// The name of the dump among the objects.
    pub(crate) fn dump(id: Id<Backup>) -> String {
        format!("{id}.dump")
    }

    /// The name of the manifest itself.
    pub(crate) fn name(id: Id<Backup>) -> String {
        format!("{id}.json")
    }
}
