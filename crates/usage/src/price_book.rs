use std::{sync::Arc, time::Duration};

use db::Db;
use kernel::{Clock, Id, NanoUsd};
use moka::future::Cache;
use serde::{Deserialize, Serialize};
use sqlx::{PgExecutor, types::Json};
use utoipa::ToSchema;

use crate::{ByTier, Error, Price, Result};

/// A model that may be called, with the price in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Who serves it.
    pub provider: String,
    /// Its name there and here.
    pub name: String,
    /// The name that the price is for: that of its family, where `name` is a dated one.
    pub priced_as: String,
    /// What it makes.
    pub kind: ModelKind,
    /// The most tokens one answer may have.
    pub max_output_tokens: i64,
    /// What it costs now.
    pub price: Price,
}

/// What a model makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ModelKind {
    /// Chat completions.
    Chat,
    /// Embedding vectors.
    Embedding,
    /// Images.
    Image,
}

/// Which models may be called and what they cost. What is not in it is refused, and so is a model
/// whose price leaves out what its kind is charged by.
#[derive(Clone, Debug)]
pub struct PriceBook {
    db: Db,
    clock: Clock,
    /// Read on every call, so kept for a second: a price change takes effect within one.
    cache: Cache<(), Arc<Vec<Model>>>,
}

impl PriceBook {
    /// The price book kept in `db`.
    pub fn new(db: Db, clock: Clock) -> Self {
        let cache = Cache::builder().time_to_live(Duration::from_secs(1)).build();
        Self { db, clock, cache }
    }

    /// Every model with a price in force.
    pub async fn models(&self) -> Result<Arc<Vec<Model>>> {
        let load = async { self.load(self.db.pool()).await.map(Arc::new) };
        self.cache.try_get_with((), load).await.map_err(Error::PriceBook)
    }

    /// The model that `provider` serves as `name`, to be used for `kind`.
    pub async fn find(&self, provider: &str, name: &str, kind: ModelKind) -> Result<Model> {
        let models = self.models().await?;
        let is_it = |it: &&Model| it.provider == provider && it.name == name && it.kind == kind;
        let found = models.iter().find(is_it);
        found.cloned().ok_or_else(|| Error::UnknownModel { name: name.to_owned() })
    }

    async fn load(&self, db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Model>> {
        let rows = sqlx::query!(
            r#"select distinct on (m.id, n.name)
                      m.provider, n.name as "name!", m.name as priced_as,
                      m.kind as "kind: ModelKind", m.max_output_tokens,
                      p.id as "price_id: Id<Price>", p.effective_from, p.free, p.batch_percent,
                      p.credits, p.credits_by_tier as "credits_by_tier: Json<ByTier>",
                      coalesce(p.input_per_million, 0) as "input_per_million!",
                      coalesce(p.cached_input_per_million, p.input_per_million, 0)
                          as "cached_input_per_million!",
                      coalesce(p.cache_write_per_million, p.input_per_million, 0)
                          as "cache_write_per_million!",
                      coalesce(p.long_cache_write_per_million, p.cache_write_per_million,
                               p.input_per_million, 0) as "long_cache_write_per_million!",
                      coalesce(p.output_per_million, 0) as "output_per_million!",
                      coalesce(p.per_image, 0) as "per_image!",
                      coalesce(p.per_second, 0) as "per_second!",
                      coalesce(p.per_request, 0) as "per_request!"
               from models m
               join prices p on p.model_id = m.id
               -- A dated name with a price of its own is a model of its own.
               cross join lateral (
                   select m.name
                   union
                   select s.name
                   from model_snapshots s
                   where s.model_id = m.id
                     and not exists (select from models o
                                     where (o.provider, o.name, o.kind) = (m.provider, s.name, m.kind))
               ) n
               where p.effective_from <= $1
                 and (p.free or case m.kind
                     when 'chat' then num_nulls(p.input_per_million, p.output_per_million) = 0
                     when 'embedding' then p.input_per_million is not null
                     when 'image' then p.per_image is not null
                 end)
               order by m.id, n.name, p.effective_from desc"#,
            self.clock.now(),
        )
        .fetch_all(db)
        .await?;
        let models = rows.into_iter().map(|row| Model {
            provider: row.provider,
            name: row.name,
            priced_as: row.priced_as,
            kind: row.kind,
            max_output_tokens: row.max_output_tokens,
            price: Price {
                id: row.price_id,
                effective_from: row.effective_from,
                free: row.free,
                input_per_million: NanoUsd(row.input_per_million),
                cached_input_per_million: NanoUsd(row.cached_input_per_million),
                cache_write_per_million: NanoUsd(row.cache_write_per_million),
                long_cache_write_per_million: NanoUsd(row.long_cache_write_per_million),
                output_per_million: NanoUsd(row.output_per_million),
                per_image: NanoUsd(row.per_image),
                per_second: NanoUsd(row.per_second),
                per_request: NanoUsd(row.per_request),
                batch_percent: row.batch_percent,
                credits: row.credits,
                credits_by_tier: row.credits_by_tier.0,
                in_batch: false,
            },
        });
        Ok(models.collect())
    }
}
