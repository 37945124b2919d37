//! What AI calls cost, and what was called.

mod config;
mod costs;
mod csv_file;
mod error;
mod new_price;
mod outcome;
mod personal_data;
mod price;
mod price_book;
mod price_version;
mod reconciliation;
mod records;
mod replay;
mod report;
mod retention;
mod roll_up;
mod routes;
mod savings;
mod seed;
mod spent_on;

use app::Module;
use db::Db;
use jobs::{Registry, Schedule};
use kernel::Clock;

use crate::{reconciliation::Reconcile, retention::DropOldCalls, roll_up::RollUp};

pub use config::Config;
pub use costs::{DailyCost, OrgCost, UnitEconomics};
pub use csv_file::{Format, csv_file};
pub use error::{Error, Result};
pub use new_price::NewPrice;
pub use outcome::{Outcome, Payer};
pub use price::{ByTier, Price, Quantities};
pub use price_book::{Model, ModelKind, PriceBook};
pub use price_version::PriceVersion;
pub use reconciliation::{Drift, ProviderCost};
pub use records::{CachedAnswer, RecordsQuery, record_cached};
pub use replay::{Replay, ReplayedModel, Scenario, replay};
pub use report::{
    Bucket, Change, Compare, Forecast, Group, Key, Moment, Previous, Report, ReportQuery, Split,
    Totals,
};
pub use roll_up::{Step, Violation, allow_long_statements, rebuild, roll_up, violations};
pub use seed::seed_price_book;
pub use spent_on::{Spent, spent_on};

/// What this feature needs.
#[derive(Clone, Debug)]
pub struct Usage {
    /// Where usage is recorded.
    pub db: Db,
    /// Decides what "this month" is.
    pub clock: Clock,
    /// What models cost now.
    pub prices: PriceBook,
    /// How long calls are kept, and what is out of the ordinary.
    pub config: Config,
}

/// Usage as a part of the product.
pub fn module(usage: Usage) -> Module {
    let jobs = Registry::default()
        .with::<RollUp>(usage.clone())
        .with::<Reconcile>(usage.clone())
        .with::<DropOldCalls>(usage.clone());
    Module {
        personal_data: personal_data::PERSONAL_DATA,
        routes: routes::routes().with_state(usage),
        jobs,
        schedules: vec![
            Schedule::cron("* * * * *", &RollUp {}),
            Schedule::cron("30 4 * * *", &Reconcile {}),
            Schedule::cron("0 5 * * *", &DropOldCalls {}),
        ],
        ..Module::default()
    }
}
