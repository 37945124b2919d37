use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use kernel::Id;
use tokio::sync::OwnedMutexGuard;

use crate::Upload;

/// Lets an upload be completed by one request at a time, so that nobody fills the storage with copies of it.
/// Other processes have turns of their own: of them, too, one makes the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<Id<Upload>, Weak<Turn>>>>);

type Turn = tokio::sync::Mutex<()>;

impl Turns {
    /// Waits until nobody else completes `upload`.
    pub(crate) async fn wait(&self, upload: Id<Upload>) -> OwnedMutexGuard<()> {
        self.of(upload).lock_owned().await
    }

    fn of(&self, upload: Id<Upload>) -> Arc<Turn> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = turns.get(&upload).and_then(Weak::upgrade).unwrap_or_default();
        turns.insert(upload, Arc::downgrade(&turn));
        turn
    }
}
