//! `slipway mail`.

use clap::Subcommand;
use email::Status;
use kernel::{Clock, EmailAddress};

use crate::{Development, Product, Settings, database_address, output, prepare_database};

/// What to find out.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Send a mail with the present settings, through all that other mails go through, and say what became of it.
    Test {
        /// Where to.
        #[arg(long)]
        to: EmailAddress,
    },
}

/// Finds it out.
pub async fn run(mut settings: Settings, action: Action) -> anyhow::Result<()> {
    let development = Development::beside(&mut settings).await?;
    let pool = settings.db.pool(database_address(&settings, development.database())?);
    prepare_database(&pool, Clock::System.now()).await?;
    let product = Product::compose(&settings.for_nobody(), pool.clone(), Clock::System)?;
    let Action::Test { to } = action;
    let sent = product.mailer.send_test(&to, "slipway mail test").await?;
    pool.close().await;
    development.stop().await?;
    let provider = sent.provider.as_deref().unwrap_or("nobody");
    if sent.status == Status::Sent {
        let answer = sent.provider_id.unwrap_or_default();
        output::line(&format!("{provider} took the mail to {to}: {answer}"));
        output::line(&format!("What becomes of it: GET /admin/v1/emails/{}", sent.id));
        return Ok(());
    }
    let error = sent.error.unwrap_or_default();
    anyhow::bail!("the mail to {to} was not sent: {error}")
}
