//! The limits: through the API, in Postgres, in Redis, and among several instances.

mod api;
mod durable;
mod instances;
mod redis;
mod support;
