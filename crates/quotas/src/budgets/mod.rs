//! Budgets that people set: seen, made, changed, raised for a while and removed at run time, each
//! change with a line in the audit log. What a plan includes is not among them.

mod alert;
mod change;
mod credit_alert;
mod routes;
mod view;

pub use alert::BudgetAlert;
pub use change::{BudgetChanges, BudgetInput, RaiseInput};
pub use credit_alert::CreditAlert;
pub(crate) use routes::routes;
pub use view::{BudgetView, Raise};
