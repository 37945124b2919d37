//! `slipway openapi`.

use kernel::Clock;

use crate::{Product, Settings, output::Output};

/// Prints the API's description. Needs no database.
pub async fn run(settings: &Settings, output: &Output) -> anyhow::Result<()> {
    let mut settings = settings.clone();
    settings
        .auth
        .auth_secret
        .get_or_insert("a description signs nothing, so this is no secret".into());
    let nowhere = sqlx::postgres::PgConnectOptions::new_without_pgpass();
    let product = Product::compose(&settings, settings.db.pool(nowhere), Clock::System)?;
    let (document, _) = product.describe();
    output.line(&document.to_pretty_json()?);
    Ok(())
}
