//! Mails that nobody asked for at the moment: what an org did in a week, and a word to those who have
//! not been here for a while. Each is sent once, whatever breaks, and ended with one click.

mod inactivity;
mod personal_data;
mod week;
mod weekly_digest;

use app::Module;
use db::Db;
use email::Mailer;
use jobs::{Registry, Schedule};
use kernel::Clock;

use inactivity::NudgeInactive;
use weekly_digest::SendDigests;

/// How many people are looked at at a time.
const PAGE: i64 = 200;

/// What this feature needs.
#[derive(Clone)]
pub struct News {
    /// Orgs and their members are gone through as the owner.
    pub db: Db,
    /// What time it is.
    pub clock: Clock,
    /// Sends them, to those who want them.
    pub mailer: Mailer,
}

/// Digests and reminders as a part of the product.
pub fn module(news: News) -> Module {
    Module {
        personal_data: personal_data::PERSONAL_DATA,
        jobs: Registry::default().with::<SendDigests>(news.clone()).with::<NudgeInactive>(news),
        schedules: vec![
            Schedule::cron("0 9 * * 1", &SendDigests {}),
            Schedule::cron("0 10 * * *", &NudgeInactive {}),
        ],
        ..Module::default()
    }
}
