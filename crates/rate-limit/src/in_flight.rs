use std::sync::Arc;

use dashmap::DashMap;
use kernel::{Id, Org};

/// How many calls every org has in flight on this instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight(Arc<DashMap<Id<Org>, u32>>);

/// A call in flight. Dropping it ends the call, however it ended.
#[derive(Debug)]
pub(crate) struct Call {
    org: Id<Org>,
    calls: InFlight,
}

impl InFlight {
    /// Begins a call of `org`, unless `limit` of them are in flight.
    pub(crate) fn begin(&self, org: Id<Org>, limit: u32) -> Option<Call> {
        let mut calls = self.0.entry(org).or_default();
        if *calls >= limit {
            return None;
        }
        *calls += 1;
        Some(Call { org, calls: self.clone() })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.calls.0.remove_if_mut(&self.org, |_, calls| {
            *calls = calls.saturating_sub(1);
            *calls == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::InFlight;

    #[test]
    fn a_call_that_ended_makes_room_for_the_next_even_after_a_panic() {
        let (calls, org) = (InFlight::default(), Id::new());
        let one = calls.begin(org, 2).unwrap();
        let two = calls.begin(org, 2).unwrap();
        assert!(calls.begin(org, 2).is_none());
        assert!(calls.begin(Id::new(), 2).is_some(), "another org");

        std::thread::spawn(move || {
            let _two = two;
            panic!("a call that panics");
        })
        .join()
        .unwrap_err();
        let three = calls.begin(org, 2).expect("room");
        drop((one, three));
        assert!(calls.0.is_empty(), "nothing is kept for those without calls");
    }
}
