use chrono::{DateTime, NaiveDate, Utc};
use kernel::Id;
use serde::Deserialize;
use sqlx::PgConnection;

use crate::{Model, ModelKind, Price};

/// The prices Slipway ships with. Each names its date and source; correct them by adding a price
/// with a later date, never by editing one that calls were already charged by.
const PRICE_BOOK: &str = include_str!("../price_book.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    model: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    provider: String,
    name: String,
    kind: ModelKind,
    #[serde(default)]
    max_output_tokens: i64,
    effective_from: toml::value::Datetime,
    source: String,
    #[serde(default)]
    free: bool,
    input_per_million: Option<i64>,
    cached_input_per_million: Option<i64>,
    output_per_million: Option<i64>,
    per_image: Option<i64>,
    per_second: Option<i64>,
    per_request: Option<i64>,
    credits: i64,
}

/// Adds the shipped models and prices that are not there yet. Changes nothing that is.
pub async fn seed_price_book(db: &mut PgConnection) -> anyhow::Result<()> {
    let book: Book = toml::from_str(PRICE_BOOK)?;
    for entry in &book.model {
        add(db, entry).await?;
    }
    Ok(())
}

async fn add(db: &mut PgConnection, entry: &Entry) -> anyhow::Result<()> {
    let model = sqlx::query_scalar!(
        r#"with added as (
               insert into models (id, provider, name, kind, max_output_tokens)
               values ($1, $2, $3, $4, $5)
               on conflict (provider, name, kind) do nothing
               returning id
           )
           select id as "id!: Id<Model>" from added
           union all
           select id from models where provider = $2 and name = $3 and kind = $4"#,
        Id::<Model>::new() as _,
        entry.provider,
        entry.name,
        entry.kind as _,
        entry.max_output_tokens,
    )
    .fetch_one(&mut *db)
    .await?;
    sqlx::query!(
        "insert into prices (id, model_id, effective_from, free, input_per_million,
                             cached_input_per_million, output_per_million, per_image, per_second,
                             per_request, credits, source)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         on conflict (model_id, effective_from) do nothing",
        Id::<Price>::new() as _,
        model as _,
        midnight(&entry.effective_from)?,
        entry.free,
        entry.input_per_million,
        entry.cached_input_per_million,
        entry.output_per_million,
        entry.per_image,
        entry.per_second,
        entry.per_request,
        entry.credits,
        entry.source,
    )
    .execute(db)
    .await?;
    Ok(())
}

fn midnight(date: &toml::value::Datetime) -> anyhow::Result<DateTime<Utc>> {
    Ok(date.to_string().parse::<NaiveDate>()?.and_time(chrono::NaiveTime::MIN).and_utc())
}
