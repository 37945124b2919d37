use std::fmt;

use kernel::{Id, Org};
use object_store::path::Path;
use uuid::Uuid;

/// Names an object. Made of our own ids only, never of text that a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(Path);

impl Key {
    /// The object `id` among those of one `kind`, such as `avatars`, of `org`.
    pub fn new<T>(org: Id<Org>, kind: &'static str, id: Id<T>) -> Self {
        Self(Path::from_iter(["orgs", &org.to_string(), kind, &id.to_string()]))
    }

    /// The platform's own object `name` among those of one `kind`, such as `backups`.
    pub fn platform(kind: &'static str, name: &str) -> Self {
        Self(Self::folder(kind).join(name))
    }

    /// Where the platform's objects of one `kind` are.
    pub(crate) fn folder(kind: &'static str) -> Path {
        Path::from_iter(["platform", kind])
    }

    /// An object of nobody, to try the storage with.
    pub(crate) fn probe() -> Self {
        Self(Path::from_iter(["probes", &Uuid::now_v7().to_string()]))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
