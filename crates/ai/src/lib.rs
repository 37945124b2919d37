//! The gateway to AI providers, in the shape of `OpenAI`'s API: every call is reserved before the
//! provider is asked, and settled by a task that outlives the client's connection.

mod chat;
mod config;
mod embeddings;
mod error;
mod gateway;
mod images;
mod models;
mod provider;
mod request;
mod stream;
mod usage_report;

use app::{Check, Module};
use web::Routes;

pub use config::Config;
pub use gateway::Ai;

/// The gateway as a part of the product.
pub fn module(ai: Ai) -> Module {
    let probed = ai.clone();
    let routes = Routes::new()
        .merge(chat::routes())
        .merge(embeddings::routes())
        .merge(images::routes())
        .merge(models::routes());
    Module {
        routes: routes.with_state(ai),
        checks: vec![Check::degrading("ai", move || {
            let ai = probed.clone();
            async move { ai.provider().check().await }
        })],
        ..Module::default()
    }
}
