use std::ops::AddAssign;

use crate::Sealer;

/// What became of secrets that are kept sealed, when all of them were to be sealed with the present `AUTH_SECRET`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Sealed with the previous `AUTH_SECRET` before, and with the present one now.
    pub resealed: u64,
    /// Sealed with the present one before.
    pub current: u64,
    /// Neither opens them: their owners need new ones.
    pub lost: u64,
}

impl Resealed {
    /// The secret as it is to be kept, if it is not already.
    pub fn renew(&mut self, sealer: &Sealer, owner: &[u8], kept: &[u8]) -> Option<Vec<u8>> {
        if sealer.is_current(owner, kept) {
            self.current += 1;
            return None;
        }
        let opened = sealer.open(owner, kept);
        let renewed = opened.and_then(|secret| sealer.seal(owner, &secret)).ok();
        let count = if renewed.is_some() { &mut self.resealed } else { &mut self.lost };
        *count += 1;
        renewed
    }
}

impl AddAssign for Resealed {
    fn add_assign(&mut self, other: Self) {
        self.resealed += other.resealed;
        self.current += other.current;
        self.lost += other.lost;
    }
}
