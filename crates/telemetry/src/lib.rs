//! Logs, errors, traces, metrics.

mod config;
mod errors;
mod exporter;
pub mod http;
mod json;
mod logs;
mod panics;
mod statements;
pub mod traces;

use std::sync::OnceLock;

use kernel::Environment;
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::ExposeSecret;
use sentry::{ClientInitGuard, types::Dsn};
use traces::Exporting;

pub use config::{Config, LogFormat, MetricsAddress};
pub use errors::redacted;

/// Keeps telemetry going; dropping it sends the errors not yet sent.
#[derive(Default)]
#[must_use = "dropping it ends error reporting"]
pub struct Guard {
    /// The metrics of this process, unless they are off.
    pub metrics: Option<PrometheusHandle>,
    _errors: Option<ClientInitGuard>,
    _traces: Option<Exporting>,
}

/// Telemetry cannot be set up as configured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("SENTRY_DSN is not a Sentry address: {0}")]
    SentryDsn(#[from] sentry::types::ParseDsnError),
    /// They are no pairs.
    #[error("OTEL_EXPORTER_OTLP_HEADERS must be name=value pairs between commas, percent-encoded")]
    CollectorHeaders,
    /// The client for it cannot be made.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Collector(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Starts logs, error reports, traces and metrics; call it first, inside the Tokio runtime.
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
    let collector = config.otel_exporter_otlp_endpoint.as_ref();
    let traces =
        collector.map(|to| traces::connect(to, config, environment, release)).transpose()?;
    logs::install(config, environment, errors.is_some(), traces.as_ref());
    let metrics = exporter::install(config.metrics_addr);
    Ok(Guard { metrics, _errors: errors, _traces: traces })
}
