//! Who may register: everybody, those with an invite code, or nobody; and with which addresses.

mod config;
mod disposable;
mod guard;
mod invite_code;
mod routes;
mod waitlist;

pub(crate) use config::Config;
pub use config::SignUp;
pub(crate) use invite_code::{CodeHash, InviteCode, hash_of};
pub(crate) use routes::routes;
