use std::sync::atomic::{AtomicU32, Ordering};

/// What a call adds, in hundredths of a retry: retries are at most a tenth of the calls.
const EARNED: u32 = 10;
const PRICE: u32 = 100;
/// How many retries can be saved up.
const SAVED: u32 = 20 * PRICE;

/// Bounds a provider's retries by its calls, so that an outage is not multiplied.
#[derive(Debug)]
pub(crate) struct RetryBudget(AtomicU32);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(AtomicU32::new(SAVED))
    }
}

impl RetryBudget {
    /// A call is made.
    pub(crate) fn earn(&self) {
        self.change(|saved| Some((saved + EARNED).min(SAVED)));
    }

    /// Whether one more retry may be made.
    pub(crate) fn spend(&self) -> bool {
        self.change(|saved| saved.checked_sub(PRICE))
    }

    fn change(&self, change: impl FnMut(u32) -> Option<u32>) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::RetryBudget;

    #[test]
    fn retries_are_bounded_by_the_calls_made() {
        let budget = RetryBudget::default();
        let saved = (0..100).filter(|_| budget.spend()).count();
        assert_eq!(saved, 20);

        let mut retries = 0;
        for _ in 0..100 {
            budget.earn();
            retries += usize::from(budget.spend());
        }
        assert_eq!(retries, 10);
    }
}
