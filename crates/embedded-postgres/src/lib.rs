//! A real PostgreSQL as a child process: for development, and for tests, on a machine where nothing
//! was set up.
//!
//! The server belongs to everybody who uses its root directory. The first user starts it, later
//! ones (a second instance of the program, test binaries that run in parallel) join it, and it ends
//! with the last of them, however that one ended.

mod binaries;
mod config;
mod database;
mod dirs;
mod error;
mod fetch;
mod identity;
mod namespace;
mod npm;
mod pid_file;
mod poll;
mod postgres;
mod server;
mod sync;
mod watchdog;

pub use config::{BIN_DIR_VARIABLE, Config};
pub use error::{Error, Result};
pub use postgres::Postgres;
