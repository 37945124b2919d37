//! What became of mails, and which addresses get none.

mod emails;
mod rates;
mod suppressions;

use web::Routes;

use crate::Admin;

pub(crate) fn routes() -> Routes<Admin> {
    emails::routes().merge(rates::routes()).merge(suppressions::routes())
}
