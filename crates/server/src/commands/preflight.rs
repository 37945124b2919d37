//! `slipway preflight`: the launch checklist, run against the configured deployment.
//!
//! A check is a small file: it looks at one thing and answers lines. A line that is not right says what to do.

mod ai;
mod alerts;
mod backups;
mod cdn;
mod certificate;
mod database;
mod errors;
mod jobs;
mod mail;
mod outside;
mod report;
mod settings;
mod stripe;
mod traffic;

use std::time::Duration;

use anyhow::ensure;
use kernel::Clock;
use url::Url;

use crate::{Development, Product, Settings, database_address, output};

pub use report::{Group, Line, Report, State};

/// How long a server elsewhere may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How thoroughly to look.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,

    /// Write what was found to READINESS.md.
    #[arg(long)]
    pub write: bool,

    /// What to try out: a test alert by every channel, a test event to Sentry.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub send: Vec<Trial>,

    /// Who is asked for DNS records: a resolver that answers JSON over HTTPS.
    #[arg(long, default_value = "https://dns.google/resolve")]
    pub dns: Url,
}

/// What somebody else is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Trial {
    /// By every channel of alerts.
    Alert,
    /// To Sentry.
    Error,
}

/// What checks look at.
pub(crate) struct Context<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) product: &'a Product,
    pub(crate) options: &'a Options,
    pub(crate) http: reqwest::Client,
}

/// Looks at everything, shows it, and fails if something that a launch needs is not there.
pub async fn run(mut settings: Settings, options: Options) -> anyhow::Result<()> {
    let development = Development::beside(&mut settings).await?;
    let report = match compose(&settings, &development) {
        Ok(product) => {
            let report = examine(&settings, &product, &options).await?;
            product.db.pool().close().await;
            report
        }
        // Nothing else can be looked at before these are mended.
        Err(error) => Report(settings::uncomposed(&settings, &error)),
    };
    development.stop().await?;
    output::text(&if options.json { report.json() } else { report.table() });
    if options.write {
        std::fs::write("READINESS.md", report.markdown(Clock::System.now()))?;
    }
    ensure!(report.is_ready(), "not ready: {} things are missing", report.count(State::Fail));
    Ok(())
}

fn compose(settings: &Settings, development: &Development) -> anyhow::Result<Product> {
    let pool = settings.db.pool(database_address(settings, development.database())?);
    Product::compose(settings, pool, Clock::System)
}

/// Everything that was found, in the order of the checklist.
pub async fn examine(
    settings: &Settings,
    product: &Product,
    options: &Options,
) -> anyhow::Result<Report> {
    let http = reqwest::Client::builder().timeout(PATIENCE).tls_info(true).build()?;
    let context = Context { settings, product, options, http };
    let mut lines = settings::check(&context);
    lines.extend(database::check(&context).await);
    lines.extend(backups::check(&context).await);
    for check in product.checks() {
        lines.push(report::of_health(check).await);
    }
    lines.push(ai::check(&context));
    lines.extend(mail::check(&context).await);
    lines.extend(stripe::check(&context).await);
    lines.extend(errors::check(&context).await);
    lines.push(alerts::check(&context).await);
    lines.extend(jobs::check(&context).await);
    lines.extend(traffic::check(&context));
    lines.extend(outside::check(&context).await);
    lines.extend(cdn::check(&context).await);
    lines.sort_by_key(|line| line.group);
    Ok(Report(lines))
}
