use audit::{Entry, Origin};
use chrono::{DateTime, Utc};
use kernel::Id;
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor, types::Json};
use utoipa::ToSchema;

use crate::{ByTier, Error, ModelKind, NewPrice, Price, Result};

/// A price of the book: one that was in force, is, or will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PriceVersion {
    /// Identifies it; usage records name it.
    #[schema(value_type = uuid::Uuid)]
    pub id: Id<Price>,
    /// What it says.
    #[serde(flatten)]
    pub price: NewPrice,
}

impl PriceVersion {
    /// Every version of every price, by model, the newest first.
    pub async fn list(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Self>> {
        let rows = sqlx::query!(
            r#"select p.id as "id: Id<Price>", m.provider, m.name, m.kind as "kind: ModelKind",
                      m.max_output_tokens, p.effective_from, p.source, p.free, p.input_per_million,
                      p.cached_input_per_million, p.cache_write_per_million,
                      p.long_cache_write_per_million, p.output_per_million, p.per_image, p.per_second,
                      p.per_request, p.batch_percent, p.credits,
                      p.credits_by_tier as "credits_by_tier: Json<ByTier>",
                      array(select s.name from model_snapshots s where s.model_id = m.id order by 1)
                          as "snapshots!"
               from models m
               join prices p on p.model_id = m.id
               order by m.provider, m.name, m.kind, p.effective_from desc"#,
        )
        .fetch_all(db)
        .await?;
        let versions = rows.into_iter().map(|row| Self {
            id: row.id,
            price: NewPrice {
                provider: row.provider,
                name: row.name,
                kind: row.kind,
                max_output_tokens: row.max_output_tokens,
                snapshots: row.snapshots,
                effective_from: row.effective_from,
                source: row.source,
                free: row.free,
                input_per_million: row.input_per_million,
                cached_input_per_million: row.cached_input_per_million,
                cache_write_per_million: row.cache_write_per_million,
                long_cache_write_per_million: row.long_cache_write_per_million,
                output_per_million: row.output_per_million,
                per_image: row.per_image,
                per_second: row.per_second,
                per_request: row.per_request,
                batch_percent: row.batch_percent,
                credits: row.credits,
                credits_by_tier: row.credits_by_tier.0,
            },
        });
        Ok(versions.collect())
    }

    /// Takes a price that has not begun out of the book, and writes down who did so.
    pub async fn withdraw(
        db: &mut PgConnection,
        id: Id<Price>,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let withdrawn =
            sqlx::query!("delete from prices where id = $1 and effective_from > $2", id as _, now)
                .execute(&mut *db)
                .await?;
        if withdrawn.rows_affected() == 0 {
            return Err(Error::PriceInThePast);
        }
        Ok(Entry::new(origin, None, "price.withdrawn", id).record(db, now).await?)
    }
}
