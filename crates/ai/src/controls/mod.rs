//! What may stop or change AI calls at run time: the kill switch, and the steps taken before a budget
//! is exhausted, for one org or for everybody.

mod anomaly;
mod budget_alerts;
mod cache;
mod change;
mod control;
mod credit_alerts;
mod notice;
mod routes;

pub(crate) use anomaly::{AnomalyRule, WatchSpend};
pub(crate) use budget_alerts::AlertBudgets;
pub(crate) use cache::Controls;
pub use control::{Control, ControlInput, Stop, Stopper, WhenExhausted};
pub(crate) use credit_alerts::AlertCredits;
pub(crate) use routes::routes;
