use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::recording::Recording;

type Recordings = HashMap<[u8; 32], Recording>;

/// The streams that this instance is telling, by the record of their request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<Mutex<Recordings>>);

impl Running {
    pub(crate) fn insert(&self, id: [u8; 32], recording: Recording) {
        self.lock().insert(id, recording);
    }

    pub(crate) fn get(&self, id: &[u8; 32]) -> Option<Recording> {
        self.lock().get(id).cloned()
    }

    pub(crate) fn remove(&self, id: &[u8; 32]) {
        self.lock().remove(id);
    }

    /// A map is whole after every one of these, also if somebody panicked.
    fn lock(&self) -> MutexGuard<'_, Recordings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
