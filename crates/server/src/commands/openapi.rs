//! `slipway openapi`.

use kernel::Clock;
use utoipa::openapi::OpenApi;
use web::Operation;

use crate::{Product, Settings, output};

/// Prints the API's description. Needs no database, but must be called within the async runtime.
pub fn run(settings: Settings) -> anyhow::Result<()> {
    let (document, _) = describe(settings)?;
    output::line(&document.to_pretty_json()?);
    Ok(())
}

/// The API's description and every operation in it. Must be called within the async runtime.
pub fn describe(settings: Settings) -> anyhow::Result<(OpenApi, Vec<Operation>)> {
    let settings = settings.for_nobody();
    let nowhere = sqlx::postgres::PgConnectOptions::new_without_pgpass();
    let pool = settings.db.pool(nowhere);
    Ok(Product::compose(&settings, pool, Clock::System)?.describe())
}
