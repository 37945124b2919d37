//! `slipway operator`.

use clap::Subcommand;
use kernel::{Clock, EmailAddress};

use crate::{Development, Product, Settings, database_address, output, prepare_database};

/// What to do with the people who run the product.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Invite somebody to be an operator, or an operator who lost a factor to choose both anew.
    Invite {
        /// Where they are reached; the invitation is printed, not mailed.
        email: EmailAddress,
    },
    /// Let an operator go: they cannot sign in any more, and are signed out.
    Disable {
        /// Their address.
        email: EmailAddress,
    },
}

/// Does it.
pub async fn run(settings: Settings, action: Action) -> anyhow::Result<()> {
    let development = Development::database_only(&settings).await?;
    let pool = settings.db.pool(database_address(&settings, development.database())?);
    prepare_database(&pool, Clock::System.now()).await?;
    let url = settings.public_url();
    let product = Product::compose(&settings.for_nobody(), pool.clone(), Clock::System)?;
    match action {
        Action::Invite { email } => {
            let mut tx = product.db.begin().await?;
            let token = product.auth.invite_operator(&mut tx, &email).await?;
            tx.commit().await?;
            output::line(&format!(
                "{email} is invited for 24 hours. The invitation, shown only now:\n{token}\n\
                 Take it up at {url}admin/v1/enrolments (see docs/operators.md)."
            ));
        }
        Action::Disable { email } => {
            product.auth.let_operator_go(&email).await?;
            output::line(&format!("{email} is no longer an operator."));
        }
    }
    pool.close().await;
    development.stop().await?;
    Ok(())
}
