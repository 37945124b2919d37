//! Streams that a client who lost its connection may join again, without having sent an `Idempotency-Key`.

mod number;
mod routes;
mod tape;

pub(crate) use routes::routes;
pub(crate) use tape::{Recorded, Streams};
