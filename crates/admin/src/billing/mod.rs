//! What customers paid and got back: refunds, Stripe's events, comparisons with Stripe, closed accounts, and what
//! subscriptions bring.

mod closures;
mod inbox;
mod reconciliations;
mod recurring;
mod refunds;
mod timeline;

use web::Routes;

use crate::Admin;

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new()
        .merge(closures::routes())
        .merge(inbox::routes())
        .merge(reconciliations::routes())
        .merge(recurring::routes())
        .merge(refunds::routes())
        .merge(timeline::routes())
}
