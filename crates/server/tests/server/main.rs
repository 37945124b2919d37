//! Rules about the product as a whole.

mod architecture;
mod bad_input;
mod generated;
mod idempotency;
mod isolation;
mod kills;
mod migrations;
mod openapi;
mod outages;
mod plans;
mod processes;
mod settings;
mod two_instances;
