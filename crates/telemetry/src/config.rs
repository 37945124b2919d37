use std::{
    io::{IsTerminal, stderr},
    net::{AddrParseError, SocketAddr},
    str::FromStr,
};

use kernel::Environment;
use secrecy::SecretString;
use tracing_subscriber::filter::Targets;
use url::Url;

/// What this process tells about itself, and to whom.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Form of the log on stderr. Unset, it is `pretty` on a terminal outside production, else `json`.
    #[arg(long, env, value_enum)]
    pub log_format: Option<LogFormat>,

    /// What is logged: error, warn, info, debug or trace, also by crate, as in `info,billing=debug`.
    #[arg(long, env, default_value = "info")]
    pub log_level: Targets,

    /// DSN of the Sentry project that hears of errors and panics. Unset, they are only logged.
    #[arg(long, env, hide_env_values = true)]
    pub sentry_dsn: Option<SecretString>,

    /// Address of a collector that takes traces by OTLP over HTTP, such as `http://127.0.0.1:4318`. Unset, none are made.
    #[arg(long, env)]
    pub otel_exporter_otlp_endpoint: Option<Url>,

    /// Headers for the collector: `name=value` pairs between commas, percent-encoded.
    #[arg(long, env, hide_env_values = true)]
    pub otel_exporter_otlp_headers: Option<SecretString>,

    /// The share of requests and jobs that are traced, from 0 to 1.
    #[arg(long, env, default_value_t = 1.0, value_parser = share)]
    pub otel_traces_sampler_arg: f64,

    /// Address at which Prometheus reads the metrics, or `off`. Keep it away from the internet.
    #[arg(long, env, default_value = "127.0.0.1:9464")]
    pub metrics_addr: MetricsAddress,
}

impl Config {
    /// The form of the log here.
    pub(crate) fn log_format(&self, environment: Environment) -> LogFormat {
        let for_people = !environment.is_production() && stderr().is_terminal();
        let fitting = if for_people { LogFormat::Pretty } else { LogFormat::Json };
        self.log_format.unwrap_or(fitting)
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "must be from 0 to 1".to_owned())
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Coloured text for people.
    Pretty,
}

/// Where the metrics are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsAddress {
    /// Nowhere: none are collected.
    Off,
    /// Over HTTP at this address.
    At(SocketAddr),
}

impl FromStr for MetricsAddress {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" { Ok(Self::Off) } else { text.parse().map(Self::At) }
    }
}
