use std::io::{IsTerminal, stderr};

use kernel::Environment;
use tracing::{Level, Metadata};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, FilterFn, LevelFilter, Targets, filter_fn},
    fmt,
    layer::{Filter, SubscriberExt},
    registry,
    util::SubscriberInitExt,
};

use crate::{
    Config, LogFormat, errors,
    json::JsonLines,
    statements,
    traces::{self, Exporting},
};

/// Libraries that have nothing to say below a warning unless `LOG_LEVEL` names them.
const QUIET: [&str; 8] =
    ["h2", "hyper", "lettre", "opentelemetry", "reqwest", "rustls", "sqlx", "tower_http"];

/// Where the job library quotes payloads in its warnings; the `jobs` crate logs the same by id.
const QUOTES_PAYLOADS: [&str; 2] =
    ["graphile_worker::runner::release", "graphile_worker::runner::task_execution"];

/// Starts the log, unless somebody who embeds us has a log already.
pub(crate) fn install(
    config: &Config,
    environment: Environment,
    report_errors: bool,
    traces: Option<&Exporting>,
) {
    let json = config.log_format(environment) == LogFormat::Json;
    // A log that cannot be written, as on a full disk, must not stop what is logged.
    let pretty = fmt::layer().with_writer(stderr).log_internal_errors(false);
    let pretty = if stderr().is_terminal() { pretty } else { pretty.with_ansi(false) };
    let level = &config.log_level;
    let spans = traces.map(Exporting::tracer);
    let _ = registry()
        .with(spans.clone().map(traces::layer))
        .with(statements::layer(spans))
        .with(json.then(|| JsonLines::new(stderr).with_filter(lines(level))))
        .with((!json).then(|| pretty.with_filter(lines(level))))
        .with(report_errors.then(|| errors::layer().with_filter(lines(level))))
        .try_init();
}

/// What the log and error reports have.
fn lines<S>(setting: &Targets) -> impl Filter<S> + use<S> {
    wanted(setting).and(harmless())
}

/// The level of each library, with ours where the setting is silent.
fn wanted(setting: &Targets) -> Targets {
    Targets::new()
        .with_default(setting.default_level().unwrap_or(LevelFilter::INFO))
        .with_targets(QUIET.map(|library| (library, LevelFilter::WARN)))
        .with_targets(setting)
}

/// Refuses the lines that quote what customers gave us, whatever `LOG_LEVEL` says.
fn harmless() -> FilterFn {
    filter_fn(|line: &Metadata<'_>| {
        let quotes = || QUOTES_PAYLOADS.iter().any(|module| line.target().starts_with(module));
        !line.target().starts_with("graphile_worker") || *line.level() <= Level::WARN && !quotes()
    })
}

#[cfg(test)]
mod tests {
    use tracing::{error, info, subscriber::with_default, warn};

    use super::*;
    use crate::json::testing::Sink;

    fn logged(setting: &str, log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let subscriber = registry()
            .with(JsonLines::new(sink.writer()).with_filter(lines(&setting.parse().unwrap())));
        with_default(subscriber, log);
        sink.text()
    }

    #[test]
    fn the_payload_of_a_job_is_not_logged_whatever_the_level() {
        let log = logged("trace,graphile_worker=trace", || {
            info!(target: "graphile_worker_queries::add_job::single", payload = "canary");
            warn!(target: "graphile_worker::runner::release::failure", payload = "canary");
            error!(target: "graphile_worker::runner::release::failure", payload = "canary");
            warn!(target: "graphile_worker::runner::task_execution", payload = "canary");
            warn!(target: "graphile_worker::recovery_tasks", "heartbeat failed");
        });
        assert!(!log.contains("canary"), "{log}");
        assert!(log.contains("heartbeat failed"), "{log}");
    }

    #[test]
    fn libraries_are_quiet_unless_they_are_named() {
        let log = || {
            info!(target: "sqlx::query", "small talk");
            info!(target: "hyper_util::client", "more small talk");
            warn!(target: "sqlx::query", "slow statement");
            info!(target: "billing", "invoice paid");
        };
        let quiet = logged("info", log);
        assert!(!quiet.contains("small talk"), "{quiet}");
        assert!(quiet.contains("slow statement") && quiet.contains("invoice paid"), "{quiet}");
        let named = logged("warn,sqlx=info", log);
        assert!(named.contains("\"small talk\"") && !named.contains("invoice paid"), "{named}");
    }
}
