//! The gateway to AI providers, in the shape of `OpenAI`'s API and of Anthropic's: every call is reserved before the
//! provider is asked, and settled by a task that outlives the client's connection.

mod answer;
mod anthropic;
mod asked;
mod batch_lane;
mod batches;
mod booking;
mod cache;
mod caching;
mod chat;
mod chunk;
mod client;
mod config;
mod controls;
mod count_tokens;
mod dialect;
mod domain;
mod embeddings;
mod error;
mod events;
mod gateway;
mod generations;
mod headers;
mod hits;
mod hygiene;
mod images;
mod keys;
mod lease;
mod messages;
mod models;
mod moderation;
mod onboarding;
mod payload;
mod personal_data;
mod prompt;
mod provider;
mod providers;
mod pump;
mod quote;
mod refusal;
mod request;
mod retention;
mod retry_budget;
mod route;
mod routing;
mod stream;
mod streams;
mod uploaded;
mod upstream;
mod usage_report;
mod webhook_events;

use app::{Check, Module};
use jobs::{Registry, Schedule};
use web::Routes;

pub use cache::{AnswerCache, cached};
pub use config::Config;
pub use controls::{Control, ControlInput, Stop, Stopper, WhenExhausted};
pub use dialect::Dialect;
pub use domain::{Charged, Kept, Payer};
pub use error::carry_errors;
pub use gateway::Ai;
pub use prompt::{Prompt, PromptVersion, fill, places};
pub use retention::UNKEPT;
pub use route::{Route, Rule};

use batches::{PurgeBatches, RunBatches};
use controls::{AlertBudgets, AlertCredits, WatchSpend};
use generations::{EndLostGenerations, PurgeGenerations, RunGeneration};

/// The gateway as a part of the product.
pub fn module(ai: Ai) -> Module {
    let probed = ai.clone();
    let routes = Routes::new()
        .merge(chat::routes())
        .merge(embeddings::routes())
        .merge(images::routes())
        .merge(messages::routes())
        .merge(count_tokens::routes())
        .merge(models::routes())
        .merge(generations::routes())
        .merge(batches::routes())
        .merge(quote::routes())
        .merge(streams::routes())
        .merge(controls::routes())
        .merge(retention::routes());
    Module {
        personal_data: personal_data::PERSONAL_DATA,
        routes: routes.with_state(ai.clone()),
        jobs: Registry::default()
            .with::<RunGeneration>(ai.clone())
            .with::<EndLostGenerations>(ai.clone())
            .with::<PurgeGenerations>(ai.clone())
            .with::<RunBatches>(ai.clone())
            .with::<PurgeBatches>(ai.clone())
            .with::<AlertBudgets>(ai.clone())
            .with::<AlertCredits>(ai.clone())
            .with::<WatchSpend>(ai),
        schedules: vec![
            Schedule::cron("* * * * *", &EndLostGenerations {}),
            Schedule::cron("15 * * * *", &PurgeGenerations {}),
            Schedule::cron("* * * * *", &RunBatches {}),
            Schedule::cron("45 * * * *", &PurgeBatches {}),
            Schedule::cron("* * * * *", &AlertBudgets {}),
            Schedule::cron("*/10 * * * *", &AlertCredits {}),
            Schedule::cron("* * * * *", &WatchSpend {}),
        ],
        checks: vec![Check::degrading("ai", move || {
            let ai = probed.clone();
            async move { ai.providers().check().await }
        })],
        events: webhook_events::types(),
        onboarding: onboarding::ONBOARDING,
    }
}
