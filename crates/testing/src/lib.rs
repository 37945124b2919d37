//! The whole product in a test: real router over loopback, real Postgres, real jobs; only other
//! people's servers are simulated.
//!
//! ```no_run
//! # async fn example() {
//! let app = testing::TestApp::start().await;
//! let owner = app.owner().await;
//! let project = owner.post("/v1/projects", serde_json::json!({ "name": "Apollo" })).await.ok();
//! assert_eq!(project["name"], "Apollo");
//! # }
//! ```

mod app;
mod bucket;
mod client;
mod database;
mod patience;
mod postgres;

pub use app::{Simulators, TestApp, oidc_provider};
pub use bucket::Bucket;
pub use client::{Client, Reply};
pub use database::Database;
pub use patience::{PATIENCE, eventually, in_time, is_noticed};

/// The password of every person that tests make.
pub const PASSWORD: &str = "a long and winding passphrase";
