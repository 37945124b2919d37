use serde::Deserialize;
use sqlx::PgConnection;

use crate::NewPrice;

/// The prices Slipway ships with. Each names its date and source; correct them by adding a price
/// with a later date, never by editing one that calls were already charged by.
const PRICE_BOOK: &str = include_str!("../price_book.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    model: Vec<NewPrice>,
}

/// Adds the shipped models and prices that are not there yet. Changes nothing that is.
pub async fn seed_price_book(db: &mut PgConnection) -> anyhow::Result<()> {
    let book: Book = toml::from_str(PRICE_BOOK)?;
    for price in &book.model {
        price.seed(db).await?;
    }
    Ok(())
}
