//! Logs, errors, metrics.

mod config;
mod errors;
mod exporter;
pub mod http;
mod json;
mod logs;
mod panics;

use kernel::Environment;
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::ExposeSecret;
use sentry::{ClientInitGuard, types::Dsn};

pub use config::{Config, LogFormat, MetricsAddress};

/// Keeps telemetry going; dropping it sends the errors not yet sent.
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

/// Starts logs, error reports and metrics; call it once, inside the Tokio runtime.
///
/// In a process that has them already, as when two tests start the product, the first stay.
pub fn init(
    config: &Config,
    environment: Environment,
    release: &'static str,
) -> Result<Guard, Error> {
    let dsn = config.sentry_dsn.as_ref().map(|dsn| dsn.expose_secret().parse::<Dsn>());
    let dsn = dsn.transpose()?;
    if !logs::install(config, environment, dsn.is_some()) {
        return Ok(Guard { metrics: None, _errors: None });
    }
    panics::log();
    Ok(Guard {
        _errors: dsn.map(|dsn| errors::connect(dsn, environment, release)),
        metrics: exporter::install(config.metrics_addr),
    })
}
