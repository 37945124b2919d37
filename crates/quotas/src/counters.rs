/// What a row has counted, as the database last told, what the current batch adds to it, and between
/// which bounds it must be for the batch's decisions to be right.
///
/// The bounds are what lets a decision be made without the row's lock: the database writes the
/// batch only if the row, with whatever other instances did to it, still lies between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Used by calls that have ended.
    pub(crate) spent: i64,
    /// Reserved by calls in flight.
    pub(crate) held: i64,
    pub(crate) batch: Added,
}

/// What a batch does to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) spent: i64,
    pub(crate) held: i64,
    /// What the platform paid beyond a reservation; part of `spent`.
    pub(crate) overrun: i64,
    /// Whether something is reserved, so that the row must be as it was pictured.
    pub(crate) verified: bool,
    /// Whether the period begins, so that what was counted before no longer does.
    pub(crate) rolls: bool,
    pub(crate) least: i64,
    pub(crate) most: i64,
}

impl Default for Added {
    fn default() -> Self {
        let (least, most) = (i64::MIN, i64::MAX);
        Self { spent: 0, held: 0, overrun: 0, verified: false, rolls: false, least, most }
    }
}

impl Added {
    pub(crate) fn changes(&self) -> bool {
        self.verified || self.spent != 0 || self.held != 0
    }
}

impl Counters {
    pub(crate) fn new(spent: i64, held: i64) -> Self {
        Self { spent, held, batch: Added::default() }
    }

    /// Used or reserved, by this batch too.
    pub(crate) fn used(&self) -> i64 {
        self.counted().saturating_add(self.added())
    }

    /// Reserved, by this batch too.
    pub(crate) fn in_flight(&self) -> i64 {
        if self.batch.rolls { self.batch.held } else { self.held.saturating_add(self.batch.held) }
    }

    /// What the row has counted in the period before this batch.
    fn counted(&self) -> i64 {
        if self.batch.rolls { 0 } else { self.spent.saturating_add(self.held) }
    }

    fn added(&self) -> i64 {
        self.batch.spent.saturating_add(self.batch.held)
    }

    /// Whether `amount` more stays within `limit`. The answer is relied upon.
    pub(crate) fn fits(&mut self, amount: i64, limit: i64) -> bool {
        let fits = limit.saturating_sub(self.used()) >= amount;
        let edge = limit.saturating_sub(self.added()).saturating_sub(amount);
        if fits {
            self.batch.most = self.batch.most.min(edge);
        } else {
            self.batch.least = self.batch.least.max(edge.saturating_add(1));
        }
        fits
    }

    /// Relies on the row being exactly as it is pictured.
    pub(crate) fn fix(&mut self) {
        let counted = self.counted();
        (self.batch.least, self.batch.most) = (counted, counted);
    }

    /// Begins a period, in which nothing has been counted.
    pub(crate) fn roll(&mut self) {
        self.batch = Added { verified: true, rolls: true, ..Added::default() };
    }

    /// Has what was assumed of the row verified, though nothing of it is reserved.
    pub(crate) fn rely(&mut self) {
        self.batch.verified = true;
    }

    pub(crate) fn reserve(&mut self, amount: i64) {
        self.batch.held = self.batch.held.saturating_add(amount);
        self.batch.verified = true;
    }

    pub(crate) fn settle(&mut self, reserved: i64, spent: i64, overrun: i64) {
        self.batch.held = self.batch.held.saturating_sub(reserved);
        self.batch.spent = self.batch.spent.saturating_add(spent);
        self.batch.overrun = self.batch.overrun.saturating_add(overrun);
    }

    /// The batch is written: the database tells what the row shows now.
    pub(crate) fn written(&mut self, spent: i64, held: i64) {
        *self = Self::new(spent, held);
    }

    /// The batch was not written.
    pub(crate) fn discard(&mut self) {
        self.batch = Added::default();
    }
}
