//! Logs, errors, metrics.

mod config;
mod errors;
mod exporter;
pub mod http;
mod json;
mod logs;
mod panics;

use std::sync::OnceLock;

use kernel::Environment;
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::ExposeSecret;
use sentry::{ClientInitGuard, types::Dsn};

pub use config::{Config, LogFormat, MetricsAddress};

/// Keeps telemetry going; dropping it sends the errors not yet sent.
#[derive(Default)]
#[must_use = "dropping it ends error reporting"]
pub struct Guard {
    /// The metrics of this process, unless they are off.
    pub metrics: Option<PrometheusHandle>,
    _errors: Option<ClientInitGuard>,
}

/// Telemetry cannot be set up as configured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("SENTRY_DSN is not a Sentry address: {0}")]
    SentryDsn(#[from] sentry::types::ParseDsnError),
}

/// Starts logs, error reports and metrics; call it first, inside the Tokio runtime.
///
/// A second call, as when two tests start the product, changes nothing.
pub fn init(
    config: &Config,
    environment: Environment,
    release: &'static str,
) -> Result<Guard, Error> {
    static STARTED: OnceLock<()> = OnceLock::new();
    let dsn = config.sentry_dsn.as_ref().map(|dsn| dsn.expose_secret().parse::<Dsn>());
    let dsn = dsn.transpose()?;
    if STARTED.set(()).is_err() {
        return Ok(Guard::default());
    }
    // Sentry's own hook calls the one it finds.
    panics::log();
    let errors = dsn.map(|dsn| errors::connect(dsn, environment, release));
    logs::install(config, environment, errors.is_some());
    Ok(Guard { metrics: exporter::install(config.metrics_addr), _errors: errors })
}
