//! `slipway inbox`.

use std::time::Duration;

use anyhow::{Context, ensure};
use billing::{Replay, SelfTest};
use chrono::{DateTime, Utc};
use clap::Subcommand;
use kernel::Clock;
use sqlx::PgPool;

use crate::{Development, Settings, database_address, output};

/// How long the public address may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to do with the events that Stripe sends.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Action {
    /// Apply every event again that was received in a time. Workers do it; nothing happens twice.
    Replay {
        /// Received from then on, such as 2026-11-27T00:00:00Z.
        #[arg(long)]
        from: DateTime<Utc>,
        /// Received before then.
        #[arg(long)]
        to: DateTime<Utc>,
        /// Of this type only, such as charge.refunded.
        #[arg(long = "type")]
        kind: Option<String>,
    },
    /// Send a signed event of our own to the webhook under `APP_URL`, see that it is stored, and show when
    /// Stripe's last event came.
    Test,
}

/// Does it.
pub async fn run(settings: Settings, action: Action) -> anyhow::Result<()> {
    let development = Development::database_only(&settings).await?;
    let pool = settings.db.migration_pool(database_address(&settings, development.database())?);
    let outcome = match action {
        Action::Replay { from, to, kind } => replay(&pool, &Replay { from, to, kind }).await,
        Action::Test => test(&pool, &settings).await,
    };
    pool.close().await;
    development.stop().await?;
    outcome
}

async fn replay(pool: &PgPool, replay: &Replay) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    let events = replay.run(&mut tx).await?;
    tx.commit().await?;
    output::line(&format!("{events} events will be applied again."));
    Ok(())
}

async fn test(pool: &PgPool, settings: &Settings) -> anyhow::Result<()> {
    output::line(&self_test(pool, settings, &Clock::System).await?);
    let last = SelfTest::last_event(pool).await?;
    output::line(&match last {
        Some(at) => format!("Stripe's last event came at {}.", at.to_rfc3339()),
        None => "Stripe never sent an event: is the endpoint set up in its dashboard?".to_owned(),
    });
    Ok(())
}

/// Sends an event of our own through the public address, and says that it came.
pub(crate) async fn self_test(
    pool: &PgPool,
    settings: &Settings,
    clock: &Clock,
) -> anyhow::Result<String> {
    let test = SelfTest::new(&settings.billing, clock.now());
    let test = test.context("STRIPE_WEBHOOK_SECRET is not set")?;
    let url = settings.public_url().join("/v1/webhooks/stripe")?;
    let request = reqwest::Client::builder().timeout(PATIENCE).build()?.post(url.clone());
    let request = request.header("stripe-signature", &test.signature).body(test.body.clone());
    let sent = request.send().await.with_context(|| format!("{url} does not answer"))?;
    ensure!(sent.status().is_success(), "{url} answered {}", sent.status());
    ensure!(test.arrived(pool).await?, "{url} stored nothing: is this its database?");
    Ok(format!("{url} received and stored {}.", test.id))
}
