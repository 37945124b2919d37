//! What fails in browsers and apps, told where our own failures are: in the log and, as every error there, to Sentry. That
//! it failed for somebody is kept for a while, so that a ticket of theirs can tell of it.

mod purge;
mod report;

use app::{Module, PersonalData, Rule};
use db::Db;
use jobs::{Registry, Schedule};
use kernel::Clock;

use purge::PurgeClientErrors;

/// Where it is kept that something failed.
#[derive(Clone)]
pub struct ClientErrors {
    /// The database.
    pub db: Db,
    /// What time it is.
    pub clock: Clock,
}

const PERSONAL_DATA: &[PersonalData] =
    &[PersonalData::new("client_errors", "when somebody's client failed, not why", "30 days")
        .person(Rule::deleted("user_id = $1"))
        // They are that person's alone.
        .org(Rule::deleted("org_id = $1").not_exported())];

/// The route, which takes reports from anybody: signing in may be what failed.
pub fn module(errors: ClientErrors) -> Module {
    Module {
        routes: report::routes().with_state(errors.clone()),
        jobs: Registry::default().with::<PurgeClientErrors>(errors),
        schedules: vec![Schedule::cron("25 3 * * *", &PurgeClientErrors {})],
        personal_data: PERSONAL_DATA,
        ..Module::default()
    }
}
