//! Credits used beyond those that an org has: allowed up to a cap that the org chose, told to a meter of
//! Stripe's, and billed with the next invoice.

mod allow;
mod report;
mod view;

pub(crate) use report::{KEY_LIFE, ReportOverage};
pub(crate) use view::OverageView;
