use serde::{Deserialize, Serialize};

/// What becomes of a subscription when the last attempt to collect an invoice failed, as set in the dashboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dunning {
    /// It ends.
    #[default]
    Cancel,
    /// It goes on without being collected.
    Unpaid,
    /// It stays past due, and its next invoice is tried again.
    PastDue,
}
