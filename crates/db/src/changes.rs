use std::{
    array,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use kernel::Id;
use uuid::Uuid;

/// How long what was read may be used while we hear of changes.
const HEARD: Duration = Duration::from_secs(30);
/// The same while we do not: how long a change may go unnoticed.
const UNHEARD: Duration = Duration::from_secs(1);
/// Subjects that share a place are only read again more often than they need to.
const PLACES: usize = 4096;
const NEVER: u64 = u64::MAX;

/// What has changed in the database, as far as this process has heard: tells caches whether what
/// they read is still good.
///
/// A cache takes a [`Mark`] before it reads, keeps it with what it read, and asks whether that
/// [is current](Changes::is_current) before it uses it again. So a change that arrives while
/// something is being read cannot be missed.
#[derive(Clone, Debug)]
pub struct Changes(Arc<Heard>);

#[derive(Debug)]
struct Heard {
    start: Instant,
    /// When each subject changed last, in nanoseconds since the start.
    last: [AtomicU64; PLACES],
    /// Since when changes have been heard without a gap.
    without_gap_since: AtomicU64,
}

/// A point in time, before something was read.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

/// What a change can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject(usize);

impl<T> From<Id<T>> for Subject {
    fn from(id: Id<T>) -> Self {
        id.uuid().into()
    }
}

impl From<Uuid> for Subject {
    fn from(id: Uuid) -> Self {
        // The end of a UUIDv7 is random.
        let (_, end) = id.as_u64_pair();
        Self(usize::try_from(end % PLACES as u64).unwrap_or_default())
    }
}

impl Default for Changes {
    /// Nothing is heard yet.
    fn default() -> Self {
        Self::since(Instant::now())
    }
}

impl Changes {
    fn since(start: Instant) -> Self {
        let last = array::from_fn(|_| AtomicU64::new(0));
        Self(Arc::new(Heard { start, last, without_gap_since: NEVER.into() }))
    }

    /// Now, to be kept with what is read next.
    pub fn mark(&self) -> Mark {
        Mark(self.now())
    }

    /// Whether what was read after `mark` may still be used: neither of `subjects`, which it is
    /// about, has changed since.
    pub fn is_current(&self, mark: Mark, subjects: impl IntoIterator<Item = Subject>) -> bool {
        let heard = self.0.without_gap_since.load(SeqCst) <= mark.0;
        let life = if heard { HEARD } else { UNHEARD };
        self.is_younger(mark, life)
            && subjects.into_iter().all(|Subject(place)| self.0.last[place].load(SeqCst) < mark.0)
    }

    /// Whether what was read after `mark` may be used although nobody will say when it changes.
    pub fn is_recent(&self, mark: Mark) -> bool {
        self.is_younger(mark, UNHEARD)
    }

    /// Makes a change known in this process at once; the database tells the others.
    pub fn note(&self, subject: impl Into<Subject>) {
        self.0.last[subject.into().0].fetch_max(self.now(), SeqCst);
    }

    /// Whether changes elsewhere are heard of.
    pub fn are_heard(&self) -> bool {
        self.0.without_gap_since.load(SeqCst) != NEVER
    }

    pub(crate) fn begin(&self) {
        self.0.without_gap_since.store(self.now(), SeqCst);
    }

    pub(crate) fn end(&self) {
        self.0.without_gap_since.store(NEVER, SeqCst);
    }

    fn is_younger(&self, mark: Mark, life: Duration) -> bool {
        Duration::from_nanos(self.now().saturating_sub(mark.0)) < life
    }

    /// Never 0, which is the time of what never happened.
    fn now(&self) -> u64 {
        u64::try_from(self.0.start.elapsed().as_nanos()).unwrap_or(NEVER - 1).max(1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Changes, Mark, Subject};

    const ONE: Subject = Subject(1);
    const OTHER: Subject = Subject(2);

    /// Changes of a process that started a minute ago.
    fn changes() -> Changes {
        Changes::since(Instant::now().checked_sub(Duration::from_mins(1)).unwrap())
    }

    fn ago(changes: &Changes, seconds: u64) -> Mark {
        Mark(changes.mark().0 - seconds * 1_000_000_000)
    }

    #[test]
    fn what_was_read_is_good_for_a_second_while_nothing_is_heard() {
        let changes = changes();
        assert!(changes.is_current(changes.mark(), [ONE]));
        assert!(!changes.is_current(ago(&changes, 2), [ONE]));
    }

    #[test]
    fn what_was_read_since_changes_are_heard_is_good_for_half_a_minute() {
        let changes = changes();
        changes.0.without_gap_since.store(ago(&changes, 50).0, super::SeqCst);
        assert!(changes.is_current(ago(&changes, 29), [ONE]));
        assert!(!changes.is_current(ago(&changes, 31), [ONE]));
        changes.end();
        assert!(!changes.is_current(ago(&changes, 29), [ONE]), "a gap ends it");
        changes.begin();
        assert!(!changes.is_current(ago(&changes, 29), [ONE]), "what fell into it is lost");
        assert!(changes.is_current(changes.mark(), [ONE]));
    }

    #[test]
    fn a_change_spoils_what_was_read_before_it_and_nothing_else() {
        let changes = changes();
        changes.begin();
        let before = changes.mark();
        changes.note(ONE);
        assert!(!changes.is_current(before, [OTHER, ONE]));
        assert!(changes.is_current(before, [OTHER]));
        assert!(changes.is_current(Mark(changes.mark().0 + 1), [ONE]));
    }
}
