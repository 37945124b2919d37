use std::sync::Arc;

use db::{Db, Remembered};
use uuid::{Uuid, uuid};

use super::CatalogueVersion;

/// What a new version is announced as; the trigger on `catalogues` says the same.
const SUBJECT: Uuid = uuid!("0193c000-0000-7000-8000-0000ca7a1096");

/// The catalogue in force, read from memory: a new one is heard of within a second.
#[derive(Clone, Debug)]
pub(crate) struct Catalogues {
    db: Db,
    known: Arc<Remembered<CatalogueVersion>>,
}

impl Catalogues {
    pub(crate) fn new(db: Db) -> Self {
        Self { known: Arc::new(Remembered::new(&db, SUBJECT)), db }
    }

    /// The one in force.
    pub(crate) async fn current(&self) -> sqlx::Result<Arc<CatalogueVersion>> {
        self.known.get(CatalogueVersion::newest(self.db.pool())).await
    }

    /// Makes a new version known at once, in this process.
    pub(crate) fn forget(&self) {
        self.known.forget();
    }
}
