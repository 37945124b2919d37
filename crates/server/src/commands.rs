//! What the program can do, one file a command.

pub mod alerts;
pub mod audit;
pub mod backup;
pub mod catalogue;
pub mod healthcheck;
pub mod inbox;
pub mod ledger;
pub mod mail;
pub mod migrate;
pub mod openapi;
pub mod operator;
pub mod preflight;
pub mod restore_drill;
pub mod secrets;
pub mod seed;
pub mod serve;
pub mod storage;
pub mod tour;
pub mod usage;
