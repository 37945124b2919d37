//! `slipway audit`.

use clap::Subcommand;
use kernel::{Clock, Id};
use uuid::Uuid;

use crate::{Development, Product, Settings, database_address, output};

/// What to do with the audit log.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Action {
    /// Compare the log with its seals and show whatever was changed, removed or put in. Fails if
    /// anything was.
    Verify {
        /// The log of this org only.
        #[arg(long)]
        org: Option<Uuid>,
    },
}

/// Does it.
pub async fn run(mut settings: Settings, action: Action) -> anyhow::Result<()> {
    let Action::Verify { org } = action;
    let development = Development::beside(&mut settings).await?;
    // Without the time limits of requests: it reads the whole log.
    let pool = settings.db.migration_pool(database_address(&settings, development.database())?);
    let product = Product::compose(&settings.without_mail(), pool.clone(), Clock::System)?;
    product.audit.seal().await?;
    let found = product.audit.verify(org.map(Id::from)).await?;
    for audit::Break { org_id, event_id, what } in &found.breaks {
        let chain = org_id.map_or("the platform".to_owned(), |org| format!("org {org}"));
        let event = event_id.map(|id| format!(", event {id}")).unwrap_or_default();
        output::line(&format!("{chain}{event}: {what}"));
    }
    output::line(&format!("{} events in {} chains were compared.", found.seals, found.chains));
    pool.close().await;
    development.stop().await?;
    anyhow::ensure!(found.breaks.is_empty(), "the audit log was tampered with: see above");
    Ok(())
}
