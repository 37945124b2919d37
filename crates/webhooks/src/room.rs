use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many lanes a process works in at the same time, so that mails and other jobs always get through.
/// Those of endpoints that answer slowly have room of their own, and little: they cannot take that of the
/// others however many they are. A process of one or two jobs has a single place, for both.
#[derive(Clone)]
pub(crate) struct Room {
    swift: Arc<Part>,
    slow: Arc<Part>,
}

struct Part {
    places: Arc<Semaphore>,
    /// How often somebody found no place.
    turned_away: AtomicU64,
}

/// A place in a room. It is free again when it is dropped.
pub(crate) struct Place {
    part: Arc<Part>,
    turned_away_before: u64,
    _permit: OwnedSemaphorePermit,
}

impl Room {
    /// Half of the `jobs` for endpoints that are swift, a quarter for slow ones.
    pub(crate) fn of(jobs: u16) -> Self {
        let swift = Part::of(jobs / 2);
        let slow = if jobs > 2 { Part::of(jobs / 4) } else { swift.clone() };
        Self { swift, slow }
    }

    /// A place, if one is free.
    pub(crate) fn enter(&self, slow: bool) -> Option<Place> {
        let part = if slow { &self.slow } else { &self.swift };
        let Ok(permit) = part.places.clone().try_acquire_owned() else {
            part.turned_away.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let turned_away_before = part.turned_away.load(Ordering::Relaxed);
        Some(Place { part: part.clone(), turned_away_before, _permit: permit })
    }
}

impl Part {
    fn of(places: u16) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(places.max(1).into()));
        Arc::new(Self { places, turned_away: AtomicU64::new(0) })
    }
}

impl Place {
    /// Whether somebody found no place since this one was taken.
    pub(crate) fn is_wanted(&self) -> bool {
        self.part.turned_away.load(Ordering::Relaxed) != self.turned_away_before
    }
}

#[cfg(test)]
mod tests {
    use super::Room;

    fn places(room: &Room, slow: bool) -> Vec<super::Place> {
        (0..100).filter_map(|_| room.enter(slow)).collect()
    }

    #[test]
    fn slow_endpoints_leave_room_for_swift_ones_and_both_for_other_jobs() {
        let room = Room::of(10);
        let (slow, swift) = (places(&room, true), places(&room, false));
        assert_eq!((slow.len(), swift.len()), (2, 5));
        drop(slow);
        assert!(room.enter(true).is_some());
    }

    #[test]
    fn lanes_never_take_every_slot_of_a_process_that_has_more_than_one() {
        for jobs in 1..=40 {
            let room = Room::of(jobs);
            let taken = places(&room, true).len() + places(&room, false).len();
            let most = usize::from(jobs) * 3 / 4;
            assert!((1..=most.max(1)).contains(&taken), "{taken} of {jobs}");
        }
    }

    #[test]
    fn a_place_is_wanted_once_somebody_was_turned_away() {
        let room = Room::of(2);
        let place = room.enter(false).unwrap();
        assert!(!place.is_wanted());
        assert!(room.enter(true).is_none());
        assert!(place.is_wanted());
        drop(place);
        assert!(!room.enter(true).unwrap().is_wanted());
    }
}
