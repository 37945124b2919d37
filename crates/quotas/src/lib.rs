//! Who may spend how much: entitlements, budgets, credits, reservations, and the ledger.
//!
//! No AI call starts without a [`Hold`]: [`Quotas::reserve`] checks every budget above the call and
//! the org's credits, and writes the reservation durably before the provider is asked. When the
//! call has ended, [`Quotas::settle`] books what it really used. A hold that nobody settles is ended
//! by the reaper, at the platform's cost.

mod batch;
mod book;
mod budget;
mod budgets;
mod committer;
mod config;
mod counters;
mod decision;
mod desk;
mod entitlement;
mod error;
mod grant;
mod hold;
mod ledger;
#[cfg(test)]
mod model;
mod new_budget;
mod period;
mod picture;
mod pressure;
mod reap;
mod rebuild;
mod recourse;
mod refusal;
mod request;
mod routes;
mod service;
mod settle;
mod status;
mod target;
mod terms;
mod work;

use app::{Check, Module};
use jobs::{Registry, Schedule};

pub use budget::{Budget, Kind, Scope, Unit};
pub use budgets::{BudgetAlert, BudgetChanges, BudgetInput, BudgetView, Raise, RaiseInput};
pub use config::Config;
pub use entitlement::{Entitlement, Included, entitle, entitle_new, entitle_new_orgs};
pub use error::{Error, Result};
pub use grant::{Grant, GrantSource, NewGrant};
pub use hold::{Call, Hold};
pub use ledger::{Violation, violations};
pub use new_budget::NewBudget;
pub use period::Period;
pub use pressure::percent_used;
pub use rebuild::{Difference, differences, rebuild};
pub use refusal::{Exhausted, Refusal};
pub use service::Quotas;
pub use settle::Used;
pub use status::{Credits, Status};

/// Quotas as a part of the product.
pub fn module(quotas: Quotas) -> Module {
    let audit = ledger::Audit::new(quotas.db().clone());
    Module {
        checks: vec![Check::degrading("ledger", move || audit.clone().check())],
        jobs: Registry::default().with::<reap::ReapHolds>(quotas.clone()),
        schedules: vec![Schedule::cron("* * * * *", &reap::ReapHolds {})],
        routes: routes::routes().merge(budgets::routes()).with_state(quotas),
    }
}
