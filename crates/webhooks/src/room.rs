use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many lanes a process works in at the same time, so that mails and other jobs always get through.
/// Those of endpoints that answer slowly have room of their own, and little: they cannot take that of the
/// others however many they are.
#[derive(Clone)]
pub(crate) struct Room {
    swift: Arc<Semaphore>,
    slow: Arc<Semaphore>,
}

impl Room {
    /// Half of the `jobs` for endpoints that are swift, a quarter for slow ones.
    pub(crate) fn of(jobs: u16) -> Self {
        let part = |of: u16| Arc::new(Semaphore::new(usize::from((jobs / of).max(1))));
        Self { swift: part(2), slow: part(4) }
    }

    /// A place, if one is free. It is free again when it is dropped.
    pub(crate) fn enter(&self, slow: bool) -> Option<OwnedSemaphorePermit> {
        let room = if slow { &self.slow } else { &self.swift };
        room.clone().try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Room;

    #[test]
    fn slow_endpoints_leave_room_for_swift_ones_and_both_for_other_jobs() {
        let room = Room::of(10);
        let slow: Vec<_> = (0..10).filter_map(|_| room.enter(true)).collect();
        let swift: Vec<_> = (0..10).filter_map(|_| room.enter(false)).collect();
        assert_eq!((slow.len(), swift.len()), (2, 5));
        drop(slow);
        assert!(room.enter(true).is_some());
        assert!(Room::of(1).enter(true).is_some());
    }
}
