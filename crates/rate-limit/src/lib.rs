//! How often each caller may do what: traffic per process, attempts at secrets in Postgres.
//!
//! Both count by GCRA: a caller who was idle may use a whole quota at once, and from then on gets
//! it back evenly. So a quota holds on average, and no period ever sees more than twice of it.

mod config;
mod durable;
mod layer;
mod limiter;
mod policy;
mod purge;
mod quota;
mod standing;
mod subject;

use std::{collections::HashMap, sync::Arc};

use app::Module;
use governor::clock::DefaultClock;
use jobs::{Registry, Schedule};
use web::{RateClass, Tier};

pub use config::{Config, Switch};
pub use durable::Durable;
pub use layer::limit;
pub use policy::{ATTEMPTS_PER_ACCOUNT, POLICIES, Policy, markdown};
pub use quota::Quota;

use limiter::Limiter;
use purge::PurgeRateLimits;

/// The housekeeping of the limits in Postgres. The traffic limits are middleware: see [`limit`].
pub fn module(durable: Durable) -> Module {
    Module {
        jobs: Registry::default().with::<PurgeRateLimits>(durable),
        schedules: vec![Schedule::cron("17 * * * *", &PurgeRateLimits)],
        ..Module::default()
    }
}

/// The traffic limits of this process.
#[derive(Clone, Debug)]
pub struct RateLimit {
    /// Empty when limits are switched off.
    limiters: Arc<HashMap<(RateClass, Tier), Limiter>>,
}

impl RateLimit {
    /// Nobody has used anything yet.
    pub fn new(config: &Config) -> Self {
        let policies = if config.is_on() { &POLICIES[..] } else { &[] };
        let limiter = |policy: &'static Policy, tier| {
            let limiter = Limiter::new(policy.name, policy.quota(tier), DefaultClock::default());
            ((policy.class, tier), limiter)
        };
        let limiters = policies
            .iter()
            .flat_map(|policy| policy::TIERS.map(|tier| limiter(policy, tier)))
            .collect();
        Self { limiters: Arc::new(limiters) }
    }
}
