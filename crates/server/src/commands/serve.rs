//! `slipway serve` and `slipway worker`.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{Role, Running, Settings, output};

/// Serves until a signal.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let release = env!("CARGO_PKG_VERSION");
    let _telemetry = telemetry::init(&settings.telemetry, settings.app_env, release)?;
    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);

    let mut running = Running::start(settings).await?;
    announce(&running);
    tokio::select! {
        result = running.failed() => return result,
        () = first(&mut interrupted, &mut terminated) => {}
    }
    output::line("Stopping; press Ctrl-C again to stop at once.");
    tokio::select! {
        stopped = running.stop() => stopped,
        () = first(&mut interrupted, &mut terminated) => anyhow::bail!("stopped at once"),
    }
}

/// Runs jobs and schedules until a signal.
pub async fn worker(mut settings: Settings) -> anyhow::Result<()> {
    settings.roles = vec![Role::Worker, Role::Scheduler];
    run(settings).await
}

async fn first(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

fn announce(running: &Running) {
    let api = format!("http://{}", running.address);
    let docs = format!("{api}/docs");
    let mut lines = vec![("API", api), ("Documentation", docs)];
    lines.extend(running.companions());
    output::line("\nSlipway is running.\n");
    for (name, address) in lines {
        output::line(&format!("  {name:<17} {address}"));
    }
    output::line("\n  Next: `cargo run -- tour` in another terminal. Ctrl-C stops everything.\n");
}
