//! What AI calls cost, and what was called.

mod error;
mod price;
mod price_book;
mod record;
mod records;
mod report;
mod roll_up;
mod routes;
mod seed;

use app::Module;
use db::Db;
use jobs::{Registry, Schedule};
use kernel::Clock;

pub use error::{Error, Result};
pub use price::{Price, Quantities};
pub use price_book::{Model, ModelKind, PriceBook};
pub use record::{Outcome, Payer, Record};
pub use records::RecordsQuery;
pub use report::{
    Bucket, Change, Compare, Forecast, Group, Key, Previous, Report, ReportQuery, Split, Totals,
};
pub use roll_up::{Violation, rebuild, roll_up, violations};
pub use seed::seed_price_book;

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
    Module {
        routes: routes::routes().with_state(usage.clone()),
        jobs: Registry::default().with::<roll_up::RollUp>(usage),
        schedules: vec![Schedule::cron("* * * * *", &roll_up::RollUp {})],
        ..Module::default()
    }
}
