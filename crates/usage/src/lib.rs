//! What AI calls cost, and what was called.

mod error;
mod price;
mod price_book;
mod record;
mod routes;
mod seed;
mod summary;

use app::Module;
use db::Db;
use kernel::Clock;

pub use error::{Error, Result};
pub use price::{Price, Quantities};
pub use price_book::{Model, ModelKind, PriceBook};
pub use record::{Outcome, Payer, Record};
pub use seed::seed_price_book;
pub use summary::{ModelTotals, Summary, Totals};

/// What this feature needs.
#[derive(Clone, Debug)]
pub struct Usage {
    /// Where usage is recorded.
    pub db: Db,
    /// Decides what "this month" is.
    pub clock: Clock,
}

/// Usage as a part of the product.
pub fn module(usage: Usage) -> Module {
    Module { routes: routes::routes().with_state(usage), ..Module::default() }
}
