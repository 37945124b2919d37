//! How often each caller may do what: traffic in Redis or in memory, attempts at secrets in Postgres.
//!
//! All count by GCRA: a caller who was idle may use a whole quota at once, and from then on gets
//! it back evenly. So a quota holds on average, and no period ever sees more than twice of it.
//!
//! Several instances count traffic together in Redis. Without it, or while it fails, each gives
//! away its share, a part of the quota by the number of instances, which all tell each other
//! through Postgres: so all together never give more.

mod admission;
mod charge;
mod config;
mod durable;
mod in_flight;
mod instances;
mod layer;
mod passed;
mod personal_data;
mod policy;
mod purge;
mod quota;
mod share;
mod shared;
mod standing;
mod subject;
mod tally;
mod traffic;

use app::{Check, Module};
use jobs::{Registry, Schedule};

pub use config::{Config, Switch};
pub use durable::Durable;
pub use layer::limit;
pub use passed::PassedLimit;
pub use policy::{ATTEMPTS_PER_ACCOUNT, POLICIES, Policy, markdown};
pub use quota::Quota;
pub use traffic::RateLimit;

use std::time::Duration;

use purge::PurgeRateLimits;
use standing::Standing;
use web::Problem;

/// The answer to one request too many under a limit that is counted elsewhere.
pub fn refusal(policy: &'static str, quota: Quota, wait: Duration) -> Problem {
    Standing { policy, quota, remaining: 0, window: wait }.refusal()
}

/// All limits.
#[derive(Clone)]
pub struct Limits {
    /// On attempts at secrets.
    pub attempts: Durable,
    /// On traffic.
    pub traffic: RateLimit,
}

/// The housekeeping of the limits in Postgres, and whether the count in Redis works. The traffic
/// limits are middleware: see [`limit`].
pub fn module(Limits { attempts, traffic }: Limits) -> Module {
    let check = traffic.is_shared().then(|| {
        Check::degrading("redis", move || {
            let traffic = traffic.clone();
            async move { traffic.check_shared().await }
        })
    });
    Module {
        personal_data: personal_data::PERSONAL_DATA,
        jobs: Registry::default().with::<PurgeRateLimits>(attempts),
        schedules: vec![Schedule::cron("17 * * * *", &PurgeRateLimits)],
        checks: check.into_iter().collect(),
        ..Module::default()
    }
}
