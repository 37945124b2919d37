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
mod close;
mod committer;
mod config;
mod counters;
mod decision;
mod desk;
mod entitlement;
mod error;
mod grant;
mod held;
mod hold;
mod ledger;
#[cfg(test)]
mod model;
mod money;
mod new_budget;
mod period;
mod personal_data;
mod picture;
mod pressure;
mod purse;
mod queue;
mod reap;
mod rebuild;
mod recourse;
mod refusal;
mod request;
mod routes;
mod row;
mod service;
mod settle;
#[cfg(test)]
mod split_run;
mod standing;
mod status;
mod target;
mod terms;
mod webhook_events;
mod work;

use app::{Check, EventType, Module};
use jobs::{Registry, Schedule};
use webhook_events::CreditsGranted;

pub use budget::{Budget, Kind, Scope, Unit};
pub use budgets::{
    BudgetAlert, BudgetChanges, BudgetInput, BudgetView, CreditAlert, Raise, RaiseInput,
};
pub use close::Month;
pub use config::Config;
pub use entitlement::{Entitlement, Included, entitle, entitle_new, entitle_new_orgs};
pub use error::{Error, Result};
pub use grant::{Grant, GrantSource, NewGrant};
pub use held::Held;
pub use hold::{Call, Hold};
pub use ledger::{Violation, violations};
pub use money::{MoneyAccount, MoneyEntry};
pub use new_budget::NewBudget;
pub use period::Period;
pub use pressure::percent_used;
pub use purse::{Overage, OverageUse, Share, given_for, take_back};
pub use rebuild::{Difference, differences, rebuild};
pub use refusal::{Exhausted, Refusal};
pub use service::Quotas;
pub use settle::Used;
pub use standing::{BudgetLeft, Standing};
pub use status::{Credits, Status};

/// Quotas as a part of the product.
pub fn module(quotas: Quotas) -> Module {
    let audit = ledger::Audit::new(quotas.db().clone());
    Module {
        personal_data: personal_data::PERSONAL_DATA,
        checks: vec![Check::degrading("ledger", move || audit.clone().check())],
        jobs: Registry::default()
            .with::<close::CloseMonth>(quotas.clone())
            .with::<reap::ReapHolds>(quotas.clone())
            .with::<purse::ExpireGrants>(quotas.clone()),
        schedules: vec![
            Schedule::cron("* * * * *", &reap::ReapHolds {}),
            Schedule::cron("* * * * *", &purse::ExpireGrants {}),
            // An hour is left for what was under way when the month ended.
            Schedule::cron("30 1 1 * *", &close::CloseMonth {}),
        ],
        routes: routes::routes().merge(budgets::routes()).with_state(quotas),
        events: vec![EventType::of::<CreditsGranted>()],
        ..Module::default()
    }
}
