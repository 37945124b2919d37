//! What an org sees and says of its bills: invoices, its name and address on them, the portal.

mod details;
mod invoices;
mod portal;
mod routes;

pub(crate) use details::{Address, Details, TaxId};
pub(crate) use routes::routes;
