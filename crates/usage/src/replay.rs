use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use kernel::{Id, NanoUsd, Org};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::{Error, Model, ModelKind, NewPrice, Price, Quantities, Result};

/// What might have been: other models, other prices. Without either, calls are replayed at the prices
/// in force now.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UsageScenario)]
pub struct Scenario {
    /// Which model would have answered instead of which.
    #[serde(default)]
    pub models: BTreeMap<String, String>,
    /// Prices that would have been in force, whatever their dates.
    #[serde(default)]
    pub prices: Vec<NewPrice>,
}

/// What the calls of a span would have cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = UsageReplay)]
pub struct Replay {
    /// Each model that was called, by its name.
    pub models: Vec<ReplayedModel>,
    /// What they cost, in nano-USD; calls without a price in the scenario not included.
    pub actual_nano_usd: NanoUsd,
    /// What they would have cost.
    pub replayed_nano_usd: NanoUsd,
    /// The same if no provider had cached a prompt, for reading or anew.
    pub uncached_nano_usd: NanoUsd,
    /// Calls that would have had no price.
    pub unpriced_calls: i64,
}

/// The calls of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = UsageReplayedModel)]
pub struct ReplayedModel {
    /// The model that was called.
    pub model: String,
    /// The one that would have answered.
    pub answered_by: String,
    /// How many calls.
    pub calls: i64,
    /// What they cost, in nano-USD.
    pub actual_nano_usd: NanoUsd,
    /// What they would have cost.
    pub replayed_nano_usd: NanoUsd,
}

/// Calls of a model that used the same.
struct Alike {
    provider: String,
    model: String,
    kind: Option<ModelKind>,
    quantities: Quantities,
    in_batch: bool,
    calls: i64,
    cost: i64,
}

/// Replays the calls of `org`, or of everybody, that ended from `from` until `to`, one by one, so that
/// each is rounded as it would have been. Calls with unknown outcome are left out, and those
/// that the response cache answered.
pub async fn replay(
    db: &mut PgConnection,
    book: &[Model],
    org: Option<Id<Org>>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    scenario: &Scenario,
) -> Result<Replay> {
    scenario.check(book)?;
    let span = Span { org, from, to, cached: false };
    span.replay(db, book, scenario).await
}

/// What the answers of the response cache would have cost, had providers been asked.
pub(crate) async fn replay_cached(
    db: &mut PgConnection,
    book: &[Model],
    org: Id<Org>,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<Replay> {
    let span = Span { org: Some(org), from, to, cached: true };
    span.replay(db, book, &Scenario::default()).await
}

/// Calls to be replayed: those that providers answered, or those that the response cache did.
struct Span {
    org: Option<Id<Org>>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    cached: bool,
}

impl Span {
    async fn replay(
        &self,
        db: &mut PgConnection,
        book: &[Model],
        scenario: &Scenario,
    ) -> Result<Replay> {
        let mut rows = sqlx::query!(
            r#"select u.provider, u.model, m.kind as "kind?: ModelKind", u.input_tokens,
                  u.cached_input_tokens, u.cache_write_tokens, u.long_cache_write_tokens,
                  u.output_tokens, u.images, u.seconds, u.in_batch,
                  count(*) as "calls!", sum(u.cost_nano_usd)::bigint as "cost!"
           from usage_records u
           left join prices p on p.id = u.price_id
           left join models m on m.id = p.model_id
           where ($1::uuid is null or u.org_id = $1)
             and u.created_at >= $2 and u.created_at < $3
             and u.outcome <> 'unknown' and (u.outcome = 'cached') = $4
           group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"#,
            self.org as _,
            self.from,
            self.to,
            self.cached,
        )
        .fetch(db);
        let mut replay = Replay::default();
        let mut models = BTreeMap::new();
        while let Some(row) = rows.try_next().await? {
            let quantities = Quantities {
                input_tokens: row.input_tokens,
                cached_input_tokens: row.cached_input_tokens,
                cache_write_tokens: row.cache_write_tokens,
                long_cache_write_tokens: row.long_cache_write_tokens,
                output_tokens: row.output_tokens,
                images: row.images,
                seconds: row.seconds,
            };
            let alike = Alike {
                provider: row.provider,
                model: row.model,
                kind: row.kind,
                quantities,
                in_batch: row.in_batch,
                calls: row.calls,
                cost: row.cost,
            };
            replay.add(&mut models, book, scenario, alike);
        }
        replay.models = models.into_values().collect();
        Ok(replay)
    }
}

impl Replay {
    fn add(
        &mut self,
        models: &mut BTreeMap<String, ReplayedModel>,
        book: &[Model],
        scenario: &Scenario,
        alike: Alike,
    ) {
        let answered_by = scenario.models.get(&alike.model).unwrap_or(&alike.model).clone();
        let Some(price) = scenario.price(book, &alike, &answered_by) else {
            self.unpriced_calls += alike.calls;
            return;
        };
        let times = |cost: NanoUsd| NanoUsd(cost.0.saturating_mul(alike.calls));
        let replayed = times(price.cost(&alike.quantities));
        let uncached = Quantities {
            cached_input_tokens: 0,
            cache_write_tokens: 0,
            long_cache_write_tokens: 0,
            ..alike.quantities
        };
        self.actual_nano_usd = self.actual_nano_usd + NanoUsd(alike.cost);
        self.replayed_nano_usd = self.replayed_nano_usd + replayed;
        self.uncached_nano_usd = self.uncached_nano_usd + times(price.cost(&uncached));
        let model = models.entry(alike.model.clone()).or_insert_with(|| ReplayedModel {
            model: alike.model,
            answered_by,
            calls: 0,
            actual_nano_usd: NanoUsd(0),
            replayed_nano_usd: NanoUsd(0),
        });
        model.calls += alike.calls;
        model.actual_nano_usd = model.actual_nano_usd + NanoUsd(alike.cost);
        model.replayed_nano_usd = model.replayed_nano_usd + replayed;
    }
}

impl Scenario {
    /// Every chat model of `book` answered by `model` instead.
    pub fn baseline(book: &[Model], model: &str) -> Result<Self> {
        let chat = || book.iter().filter(|it| it.kind == ModelKind::Chat);
        if !chat().any(|it| it.name == model) {
            return Err(Error::UnknownModel { name: model.to_owned() });
        }
        let models = chat().map(|it| (it.name.clone(), model.to_owned())).collect();
        Ok(Self { models, prices: Vec::new() })
    }

    /// Refuses to let a model answer that has no price.
    fn check(&self, book: &[Model]) -> Result<()> {
        let priced = |name: &str| {
            self.prices.iter().any(|it| it.name == name) || book.iter().any(|it| it.name == name)
        };
        match self.models.values().find(|name| !priced(name)) {
            Some(name) => Err(Error::UnknownModel { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// A model of the same kind, of the same provider if that has it; what was in a batch stays in
    /// one, where the other model has batches.
    fn price(&self, book: &[Model], alike: &Alike, name: &str) -> Option<Price> {
        let fits = |kind: ModelKind| alike.kind.is_none_or(|it| it == kind);
        let given = self.prices.iter().find(|it| it.name == name && fits(it.kind));
        let in_book = || {
            let of_kind = book.iter().filter(|it| it.name == name && fits(it.kind));
            of_kind.min_by_key(|it| it.provider != alike.provider).map(|it| it.price.clone())
        };
        let price = given.map(NewPrice::price).or_else(in_book)?;
        let batched = if alike.in_batch { price.batched() } else { None };
        Some(batched.unwrap_or(price))
    }
}
