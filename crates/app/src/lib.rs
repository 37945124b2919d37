//! What a feature adds to the running application, and how the additions sum up.

mod check;
mod document;
mod event;
mod gate;
mod http;
mod onboarding;
mod personal_data;

use jobs::{Registry, Schedule};
use utoipa::openapi::OpenApi;
use web::{Operation, Routes};

pub use check::Check;
pub use event::{Event, EventType};
pub use http::HttpSettings;
pub use onboarding::OnboardingStep;
pub use personal_data::{Erasure, PersonalData, Rule, inventory};

/// One feature. A plain value: nothing is registered behind anyone's back.
#[derive(Default)]
pub struct Module {
    /// What it answers. Every route says who may call it.
    pub routes: Routes,
    /// The work it does later.
    pub jobs: Registry,
    /// The work it does again and again.
    pub schedules: Vec<Schedule>,
    /// What must be true for it to be healthy.
    pub checks: Vec<Check>,
    /// What of it customers' programs may be told.
    pub events: Vec<EventType>,
    /// What its tables keep about people and orgs.
    pub personal_data: &'static [PersonalData],
    /// By which steps people get to know it.
    pub onboarding: &'static [OnboardingStep],
}

/// Everything the process serves and runs.
pub struct App {
    routes: Routes,
    /// Every job the process knows how to run.
    pub jobs: Registry,
    /// Every job that runs by the clock.
    pub schedules: Vec<Schedule>,
    /// Everything that health reports.
    pub checks: Vec<Check>,
    /// Every event that customers' programs may be told of.
    pub events: Vec<EventType>,
    /// What every table keeps about people and orgs.
    pub personal_data: Vec<PersonalData>,
    /// By which steps people get to know the product, in their order.
    pub onboarding: Vec<OnboardingStep>,
}

/// Sums up the features.
pub fn assemble(modules: impl IntoIterator<Item = Module>) -> App {
    let start = App {
        routes: Routes::new(),
        jobs: Registry::default(),
        schedules: vec![],
        checks: vec![],
        events: vec![],
        personal_data: vec![],
        onboarding: vec![],
    };
    modules.into_iter().fold(start, App::with)
}

impl App {
    /// Adds one more feature, such as health, which reports on the others.
    #[must_use]
    pub fn with(mut self, module: Module) -> Self {
        self.schedules.extend(module.schedules);
        self.checks.extend(module.checks);
        self.events.extend(module.events);
        self.personal_data.extend(module.personal_data);
        self.onboarding.extend(module.onboarding);
        self.routes = self.routes.merge(module.routes);
        self.jobs = self.jobs.merge(module.jobs);
        self
    }

    /// The API's description and every operation in it: always what the router serves.
    pub fn describe(self) -> (OpenApi, Vec<Operation>) {
        let (router, operations) = self.routes.into_parts();
        (document::finish(router.into_openapi()), operations)
    }
}
