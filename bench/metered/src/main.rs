//! Measures what a metered AI call costs over a bare reverse proxy, and writes the load report.

mod companion;
mod connection;
mod intake;
mod load;
mod machine;
mod product;
mod proxy;
mod report;
mod scenario;
mod schedule;
mod seed;
mod upstream;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::{Parser, Subcommand};

/// As many as the report says.
const CALLERS: u32 = 1000;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures what a metered AI call costs over a bare reverse proxy, all on this machine.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Runs everything and prints the table; fails if a bar is missed.
    Run(Options),
    /// Measures how many of Stripe's events are taken a second; fails if the bar is missed.
    Intake(Options),
    /// Answers like an AI provider.
    #[command(hide = true)]
    Upstream,
    /// Passes requests on and does nothing else.
    #[command(hide = true)]
    Proxy {
        /// Host and port of who answers them.
        authority: String,
    },
}

/// What to measure, and with what.
#[derive(clap::Args)]
struct Options {
    /// The product's binary, built for release.
    #[arg(long)]
    slipway: PathBuf,
    /// Where the database may be put. A disk, not memory: durable commits are a part of the cost.
    #[arg(long)]
    directory: PathBuf,
    /// Seconds that each load is measured for.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How often everything is measured, in turn; the report has the medians.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Callers on each side: people of one org, and orgs with one each. Fewer are for profiles; then
    /// no report is written.
    #[arg(long, default_value_t = CALLERS)]
    callers: u32,
    /// Only the scenarios whose name contains this; then there is no verdict.
    #[arg(long)]
    only: Option<String>,
    /// Writes the report to this file.
    #[arg(long)]
    report: Option<PathBuf>,
    /// What was measured, such as a commit.
    #[arg(long, default_value = "unknown")]
    version: String,
}

fn main() -> ExitCode {
    let result = match Cli::parse().part {
        Part::Run(options) => single_threaded().and_then(|it| it.block_on(run(options))),
        Part::Intake(options) => {
            single_threaded().and_then(|it| it.block_on(measure_intake(options)))
        }
        Part::Upstream => {
            single_threaded().and_then(|it| it.block_on(upstream::serve())).map(|()| true)
        }
        Part::Proxy { authority } => tokio::runtime::Runtime::new()
            .context("start the runtime")
            .and_then(|it| it.block_on(proxy::serve(authority)))
            .map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn single_threaded() -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("start the runtime")
}

/// Answers whether the bar was met. The product only takes events meanwhile: its worker, which would share
/// the processor, belongs to another process.
async fn measure_intake(options: Options) -> anyhow::Result<bool> {
    let nowhere = "127.0.0.1:9";
    let (slipway, directory) = (&options.slipway, &options.directory);
    let product = product::Product::start(slipway, directory, nowhere, "api").await?;
    let time = Duration::from_secs(options.seconds);
    let holds = intake::run(&product, time, options.rounds).await?;
    product.stop().await?;
    Ok(holds)
}

/// Answers whether every bar was met.
async fn run(options: Options) -> anyhow::Result<bool> {
    let upstream = companion::Companion::start(&["upstream"]).await?;
    let proxy = companion::Companion::start(&["proxy", &upstream.authority]).await?;
    let (slipway, directory) = (&options.slipway, &options.directory);
    let everything = "api,worker,scheduler";
    let product =
        product::Product::start(slipway, directory, &upstream.authority, everything).await?;
    let callers = seed::seed(&product.database, options.callers).await?;
    let bench = scenario::Bench {
        proxy: &proxy,
        product: &product,
        callers: &callers,
        time: Duration::from_secs(options.seconds),
        rounds: options.rounds,
        only: options.only.as_deref(),
    };
    let measured = bench.run().await?;
    let machine = report::Machine {
        hardware: machine::describe(),
        postgres: product.postgres_version().await?,
        version: options.version,
    };
    product.stop().await?;
    let report = report::Report::new(machine, measured);
    report.print();
    if let Some(path) = options.report.as_ref().filter(|_| options.callers == CALLERS) {
        report.write(path)?;
    }
    Ok(report.holds())
}
