use std::sync::{Arc, Mutex, PoisonError};

use db::{Db, Mark};
use uuid::{Uuid, uuid};

use super::CatalogueVersion;

/// What a new version is announced as; the trigger on `catalogues` says the same.
const SUBJECT: Uuid = uuid!("0193c000-0000-7000-8000-0000ca7a1096");

/// What was read, and when.
type Known = Option<(Mark, Arc<CatalogueVersion>)>;

/// The catalogue in force, read from memory: a new one is heard of within a second.
#[derive(Clone, Debug)]
pub(crate) struct Catalogues {
    db: Db,
    known: Arc<Mutex<Known>>,
}

impl Catalogues {
    pub(crate) fn new(db: Db) -> Self {
        Self { db, known: Arc::default() }
    }

    /// The one in force.
    pub(crate) async fn current(&self) -> sqlx::Result<Arc<CatalogueVersion>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((since, version)) = known
            && self.db.changes().is_current(since, [SUBJECT.into()])
        {
            return Ok(version);
        }
        let since = self.db.changes().mark();
        let version = Arc::new(CatalogueVersion::newest(self.db.pool()).await?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((since, version.clone()));
        Ok(version)
    }

    /// Makes a new version known at once, in this process.
    pub(crate) fn forget(&self) {
        self.db.changes().note(SUBJECT);
    }
}
