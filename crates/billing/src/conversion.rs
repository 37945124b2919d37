use std::fmt::Write as _;

use crate::Pack;

/// What a credit sells for and what it pays for, as the table in `docs/ledger.md`. `covers` is the most
/// provider cost, in cents, that a call may have per credit (`CREDIT_COVERS_USD_CENTS`).
pub fn conversion_table(packs: &[Pack], covers: u32) -> String {
    let mut table = "| pack | price | credits | a credit sells for | and pays for at most |\n\
                     |---|---|---|---|---|\n"
        .to_owned();
    for Pack { id, credits, cents, .. } in packs {
        // In hundredths of a cent, rounded down: no price is shown higher than it is.
        let each = cents.saturating_mul(100) / (*credits).max(1);
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| {id} | ${}.{:02} | {credits} | ${}.{:04} | ${}.{:02} |",
            cents / 100,
            cents % 100,
            each / 10_000,
            each % 10_000,
            covers / 100,
            covers % 100,
        );
    }
    table
}
