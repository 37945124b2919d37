use audit::{Entry, Origin};
use chrono::{DateTime, Utc};
use kernel::{Id, NanoUsd};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};
use utoipa::ToSchema;
use web::Tier;

use crate::{ByTier, Error, Model, ModelKind, Price, Result};

/// A price to come, of a model that may be new. Amounts are nano-USD; token prices are per million.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPrice {
    /// Who serves the model.
    #[schema(example = "openai")]
    pub provider: String,
    /// Its name there and here.
    #[schema(example = "gpt-4o-mini")]
    pub name: String,
    /// What it makes.
    pub kind: ModelKind,
    /// The most tokens one answer may have.
    #[serde(default)]
    pub max_output_tokens: i64,
    /// Dated names that cost the same. They are added to those there are.
    #[serde(default)]
    pub snapshots: Vec<String>,
    /// In force from then on, until the next version.
    pub effective_from: DateTime<Utc>,
    /// Where the price was published.
    pub source: String,
    /// Explicitly costs nothing.
    #[serde(default)]
    pub free: bool,
    /// Prompt tokens.
    pub input_per_million: Option<i64>,
    /// Prompt tokens the provider had cached; as the others unless given.
    pub cached_input_per_million: Option<i64>,
    /// Prompt tokens the provider wrote into its cache; as the others unless given.
    pub cache_write_per_million: Option<i64>,
    /// Prompt tokens the provider wrote into its cache to last; as those written for short unless given.
    pub long_cache_write_per_million: Option<i64>,
    /// Tokens of the answer.
    pub output_per_million: Option<i64>,
    /// Each image.
    pub per_image: Option<i64>,
    /// Each second of sound or video.
    pub per_second: Option<i64>,
    /// Each call.
    pub per_request: Option<i64>,
    /// What a batch costs, in percent of the price, if there are batches.
    #[schema(minimum = 1, maximum = 100)]
    pub batch_percent: Option<i16>,
    /// Credits that a standard generation draws.
    pub credits: i64,
    /// The same for plans that differ.
    #[serde(default)]
    #[schema(value_type = BTreeMap<Tier, i64>)]
    pub credits_by_tier: ByTier,
}

impl NewPrice {
    /// Puts the price into the book, to be in force from its date on, and writes down who did so.
    ///
    /// What calls were charged by is never changed: the date must not be over. A price for the same
    /// date that has not begun is replaced.
    pub async fn propose(
        &self,
        db: &mut PgConnection,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<Id<Price>> {
        self.check()?;
        if self.effective_from < now {
            return Err(Error::PriceInThePast);
        }
        let model = self.find_model(db).await?;
        sqlx::query!(
            "delete from prices where model_id = $1 and effective_from = $2",
            model as _,
            self.effective_from,
        )
        .execute(&mut *db)
        .await?;
        let price = self.insert(db, model).await?.ok_or(Error::PriceInThePast)?;
        Entry::new(origin, None, "price.proposed", price)
            .after(serde_json::to_value(self).unwrap_or_default())
            .record(db, now)
            .await?;
        Ok(price)
    }

    /// The price as calls are charged by it.
    pub(crate) fn price(&self) -> Price {
        let nano = |amount: Option<i64>| NanoUsd(amount.unwrap_or(0));
        let cache_write = self.cache_write_per_million.or(self.input_per_million);
        Price {
            id: Id::new(),
            effective_from: self.effective_from,
            free: self.free,
            input_per_million: nano(self.input_per_million),
            cached_input_per_million: nano(
                self.cached_input_per_million.or(self.input_per_million),
            ),
            cache_write_per_million: nano(cache_write),
            long_cache_write_per_million: nano(self.long_cache_write_per_million.or(cache_write)),
            output_per_million: nano(self.output_per_million),
            per_image: nano(self.per_image),
            per_second: nano(self.per_second),
            per_request: nano(self.per_request),
            batch_percent: self.batch_percent,
            credits: self.credits,
            credits_by_tier: self.credits_by_tier.clone(),
            in_batch: false,
        }
    }

    /// Puts a price that Slipway ships with into the book, whatever its date; changes none that is there.
    pub(crate) async fn seed(&self, db: &mut PgConnection) -> Result<()> {
        self.check()?;
        let model = self.find_model(db).await?;
        self.insert(db, model).await?;
        Ok(())
    }

    /// Refuses a price that leaves out what its kind is charged by, or is neither given nor free.
    fn check(&self) -> Result<()> {
        let given = [
            self.input_per_million,
            self.cached_input_per_million,
            self.cache_write_per_million,
            self.long_cache_write_per_million,
            self.output_per_million,
            self.per_image,
            self.per_second,
            self.per_request,
        ];
        let charged_by = match self.kind {
            ModelKind::Chat => self.input_per_million.and(self.output_per_million),
            ModelKind::Embedding => self.input_per_million,
            ModelKind::Image => self.per_image,
        };
        let refuse = |reason| Err(Error::InvalidPrice { reason });
        if given.iter().flatten().any(|amount| *amount < 0) || self.max_output_tokens < 0 {
            return refuse("amounts are not negative");
        }
        if self.credits < 0 || self.credits_by_tier.values().any(|credits| *credits < 0) {
            return refuse("credits are not negative");
        }
        if self.batch_percent.is_some_and(|percent| !(1..=100).contains(&percent)) {
            return refuse("a batch costs 1 to 100 percent");
        }
        if [&self.provider, &self.name, &self.source].into_iter().any(String::is_empty) {
            return refuse("provider, name and source are needed");
        }
        match (self.free, given.iter().any(Option::is_some), charged_by) {
            (true, false, _) | (false, _, Some(_)) => Ok(()),
            (true, true, _) => refuse("what is free has no other price"),
            (false, _, None) => refuse("what a model of this kind is charged by has no price"),
        }
    }

    async fn find_model(&self, db: &mut PgConnection) -> Result<Id<Model>> {
        let model = sqlx::query_scalar!(
            r#"insert into models as known (id, provider, name, kind, max_output_tokens)
               values ($1, $2, $3, $4, $5)
               on conflict (provider, name, kind) do update
               set max_output_tokens = greatest(known.max_output_tokens, excluded.max_output_tokens)
               returning id as "id: Id<Model>""#,
            Id::<Model>::new() as _,
            self.provider,
            self.name,
            self.kind as _,
            self.max_output_tokens,
        )
        .fetch_one(&mut *db)
        .await?;
        sqlx::query!(
            "insert into model_snapshots
             select $1, name from unnest($2::text[]) as name
             on conflict do nothing",
            model as _,
            &self.snapshots,
        )
        .execute(db)
        .await?;
        Ok(model)
    }

    /// `None` if there is a price of that date.
    async fn insert(
        &self,
        db: &mut PgConnection,
        model: Id<Model>,
    ) -> sqlx::Result<Option<Id<Price>>> {
        sqlx::query_scalar!(
            r#"insert into prices (id, model_id, effective_from, free, input_per_million,
                                   cached_input_per_million, cache_write_per_million,
                                   long_cache_write_per_million, output_per_million, per_image,
                                   per_second, per_request, batch_percent, credits,
                                   credits_by_tier, source)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
               on conflict (model_id, effective_from) do nothing
               returning id as "id: Id<Price>""#,
            Id::<Price>::new() as _,
            model as _,
            self.effective_from,
            self.free,
            self.input_per_million,
            self.cached_input_per_million,
            self.cache_write_per_million,
            self.long_cache_write_per_million,
            self.output_per_million,
            self.per_image,
            self.per_second,
            self.per_request,
            self.batch_percent,
            self.credits,
            Json(&self.credits_by_tier) as _,
            self.source,
        )
        .fetch_optional(db)
        .await
    }
}
