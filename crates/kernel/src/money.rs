use std::{fmt, ops::Add};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An amount of US dollars in units of 1e-9 dollar, exact. Negative means owed.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    sqlx::Type,
)]
#[serde(transparent)]
#[sqlx(transparent)]
#[schema(value_type = i64, example = 12_450)]
pub struct NanoUsd(pub i64);

impl NanoUsd {
    /// Whole dollars.
    pub const fn from_dollars(dollars: i64) -> Self {
        Self(dollars * 1_000_000_000)
    }

    /// US cents, the unit of card payments.
    pub const fn from_cents(cents: i64) -> Self {
        Self(cents * 10_000_000)
    }
}

/// Saturates: an amount this large is refused by every budget, and must not wrap into a small one.
impl Add for NanoUsd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, nanos) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        write!(f, "{sign}${}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::NanoUsd;

    #[test]
    fn amounts_read_as_dollars_to_the_last_unit() {
        assert_eq!(NanoUsd(1).to_string(), "$0.000000001");
        assert_eq!(NanoUsd::from_cents(-150).to_string(), "-$1.500000000");
        assert_eq!(NanoUsd(i64::MIN).to_string(), "-$9223372036.854775808");
    }

    #[test]
    fn a_sum_beyond_the_range_saturates_instead_of_wrapping() {
        assert_eq!(NanoUsd(i64::MAX) + NanoUsd(1), NanoUsd(i64::MAX));
    }
}
