//! Rules about the product as a whole.

mod administration;
mod architecture;
mod bad_input;
mod batch_kills;
mod billing_kills;
mod commands;
mod degraded;
mod generated;
mod idempotency;
mod isolation;
mod job_kills;
mod kills;
mod manual;
mod meter;
mod migrations;
mod openapi;
mod outages;
mod personal_data;
mod plans;
mod processes;
mod proofs;
mod refresh_kills;
mod settings;
mod two_instances;
mod webhook_kills;
