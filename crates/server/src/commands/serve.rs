//! `slipway serve` and `slipway worker`.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{Role, Running, Settings, output};

/// Serves until a signal.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let release = env!("CARGO_PKG_VERSION");
    let _telemetry = telemetry::init(&settings.telemetry, settings.app_env, release)?;
    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);

    let mut running = Box::pin(Running::start(settings)).await?;
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
    Box::pin(run(settings)).await
}

async fn first(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

fn announce(running: &Running) {
    output::line("\nSlipway is running.\n");
    let show = |name: &str, address: &str| output::line(&format!("  {name:<17} {address}"));
    if let Some(address) = running.address {
        show("API", &format!("http://{address}"));
        show("Documentation", &format!("http://{address}/docs"));
    }
    if let Some(address) = running.health_address {
        show("Health", &format!("http://{address}"));
    }
    for (name, address) in running.companions() {
        show(name, &address);
    }
    if running.address.is_some() {
        output::line("\n  Next: `cargo run -- tour` in another terminal.");
    }
    output::line("\n  Ctrl-C stops everything.\n");
}
