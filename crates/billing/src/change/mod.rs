//! Changes of a running subscription: another plan, another interval, seats, its end.

mod carry_out;
mod items;
mod preview;
mod record;
mod refused;
mod target;
pub(crate) mod unused_seats;

pub(crate) use preview::Preview;
pub use refused::ChangeRefused;
pub(crate) use target::ChangeInput;
