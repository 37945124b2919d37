//! Whether this instance lives, may receive traffic, and works.

mod probes;
mod report;
mod routes;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use app::{Check, Module};
use axum::Router;
use kernel::Clock;

use probes::Probes;

/// The routes, which answer without signing in and without limits.
pub fn module(health: Health) -> Module {
    Module { routes: routes::routes().with_state(health), ..Module::default() }
}

/// The same and nothing else, for processes that serve no API.
pub fn router(health: Health) -> Router {
    let (router, _) = routes::routes().with_state(health).into_parts();
    router.into()
}

/// What is known about this instance.
#[derive(Clone, Debug)]
pub struct Health {
    critical: Arc<Probes>,
    all: Arc<Probes>,
    draining: Arc<AtomicBool>,
}

impl Health {
    /// Reports on `checks`, which every feature contributes to. One that takes longer than `time_limit` has failed.
    pub fn new(checks: Vec<Check>, clock: Clock, time_limit: Duration) -> Self {
        let critical = checks.iter().filter(|check| check.critical).cloned().collect();
        Self {
            critical: Arc::new(Probes::new(critical, clock.clone(), time_limit)),
            all: Arc::new(Probes::new(checks, clock, time_limit)),
            draining: Arc::default(),
        }
    }

    /// From now on asks for no more traffic; what is under way goes on.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
