//! The composition root: the one place that knows every crate.

pub mod cli;
pub mod commands;
mod database;
#[cfg_attr(not(feature = "simulators"), path = "no_development.rs")]
mod development;
mod in_progress;
mod listener;
mod output;
mod partitions;
mod passed_limits;
mod product;
mod running;
mod settings;

pub use database::{database_address, prepare_database};
pub use development::Development;
pub use product::Product;
pub use running::Running;
pub use settings::{Role, Settings};
