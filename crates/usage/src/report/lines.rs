use std::{cmp::Reverse, collections::BTreeMap};

use chrono::{DateTime, Utc};
use kernel::{ApiKey, Id, User};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Bucket, Filter, Totals, grain, query::Dimension};
use crate::{Error, Outcome, Payer, Result};

/// An answer with more lines is of use to nobody: the export is for that.
const MOST_LINES: i64 = 50_000;

/// What the calls of a group have in common. What was not asked for is absent, and so is what calls
/// do not have, such as the key of a call that a person made.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[schema(as = UsageGroupKey)]
pub struct Key {
    /// Which model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Who served it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// What was done, such as `chat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The person, or the maker of the API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    pub user: Option<Id<User>>,
    /// The API key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    pub key: Option<Id<ApiKey>>,
    /// The project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<Uuid>,
}

/// Sums over the calls that have something in common.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageGroup)]
pub struct Group {
    /// When its bucket begins, if buckets were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<DateTime<Utc>>,
    /// What they have in common.
    #[serde(flatten)]
    pub key: Key,
    /// Their sums.
    #[serde(flatten)]
    pub totals: Totals,
}

/// The calls of one bucket, group, outcome and payer.
pub(super) struct Line {
    bucket: i32,
    model: Option<String>,
    provider: Option<String>,
    operation: Option<String>,
    user: Option<Id<User>>,
    key: Option<Id<ApiKey>>,
    project: Option<Uuid>,
    pub(super) outcome: Outcome,
    pub(super) paid_by: Payer,
    pub(super) calls: i64,
    pub(super) input_tokens: i64,
    pub(super) cached_input_tokens: i64,
    pub(super) cache_write_tokens: i64,
    pub(super) output_tokens: i64,
    pub(super) images: i64,
    pub(super) cost_nano_usd: i64,
    pub(super) credits: i64,
}

impl Line {
    /// `width_bucket` counts from one.
    fn index(&self) -> usize {
        usize::try_from(self.bucket - 1).unwrap_or_default()
    }

    fn in_common(&self) -> Key {
        Key {
            model: self.model.clone(),
            provider: self.provider.clone(),
            operation: self.operation.clone(),
            user: self.user,
            key: self.key,
            project: self.project,
        }
    }
}

/// Reads the roll-ups and, in the same snapshot, the calls that are not in them yet, so that every
/// call counts once and the newest at once. `owner` is an org, or the nil id: the whole platform.
pub(super) async fn read(
    db: &mut PgConnection,
    owner: Uuid,
    bounds: &[DateTime<Utc>],
    by: &[Dimension],
    filter: &Filter,
) -> Result<Vec<Line>> {
    let detail = filter.needs_detail() || by.iter().any(|it| it.is_detail());
    let by = |dimension| by.contains(&dimension);
    let (mut grains, mut starts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for part in grain::parts(bounds, detail) {
        grains.push(part.grain);
        starts.push(part.from);
        ends.push(part.to);
    }
    // `offset 0` keeps the planner from reading more than the lines of a part.
    let lines = sqlx::query_as!(
        Line,
        r#"select width_bucket(slot, $3::timestamptz[]) as "bucket!",
                  case when $4 then model end as model,
                  case when $5 then provider end as provider,
                  case when $6 then operation end as operation,
                  case when $7 then user_id end as "user: Id<User>",
                  case when $8 then api_key_id end as "key: Id<ApiKey>",
                  case when $9 then project_id end as project,
                  outcome as "outcome!: Outcome",
                  paid_by as "paid_by!: Payer",
                  sum(calls)::bigint as "calls!",
                  sum(input_tokens)::bigint as "input_tokens!",
                  sum(cached_input_tokens)::bigint as "cached_input_tokens!",
                  sum(cache_write_tokens)::bigint as "cache_write_tokens!",
                  sum(output_tokens)::bigint as "output_tokens!",
                  sum(images)::bigint as "images!",
                  sum(cost_nano_usd)::bigint as "cost_nano_usd!",
                  sum(credits)::bigint as "credits!"
           from (
               select rolled.*
               from unnest($17::smallint[], $18::timestamptz[], $19::timestamptz[])
                        as part (grain, starts, ends),
                    lateral (
                        select slot, model, provider, operation, user_id, api_key_id, project_id,
                               outcome, paid_by, calls, input_tokens, cached_input_tokens,
                               cache_write_tokens + long_cache_write_tokens as cache_write_tokens,
                               output_tokens, images, cost_nano_usd, credits
                        from usage_rollups
                        where org_id = $1 and detail = $2 and grain = part.grain
                          and slot >= part.starts and slot < part.ends
                        offset 0
                    ) rolled
               union all
               select slot, model, provider, operation, user_id, api_key_id, project_id, outcome,
                      paid_by, 1, input_tokens, cached_input_tokens, cache_write_tokens,
                      output_tokens, images, cost_nano_usd, credits
               from usage_fresh_of($1)
               where slot >= $20 and slot < $21
           ) line
           where ($10::text is null or model = $10)
             and ($11::text is null or provider = $11)
             and ($12::text is null or operation = $12)
             and ($13::uuid is null or user_id = $13)
             and ($14::uuid is null or api_key_id = $14)
             and ($15::uuid is null or project_id = $15)
           group by 1, 2, 3, 4, 5, 6, 7, 8, 9
           limit $16"#,
        owner,
        detail,
        bounds,
        by(Dimension::Model),
        by(Dimension::Provider),
        by(Dimension::Operation),
        by(Dimension::User),
        by(Dimension::Key),
        by(Dimension::Project),
        filter.model,
        filter.provider,
        filter.operation,
        filter.user,
        filter.key,
        filter.project,
        MOST_LINES + 1,
        &grains,
        &starts,
        &ends,
        bounds.first(),
        bounds.last(),
    )
    .fetch_all(db)
    .await?;
    if lines.len() as u64 > MOST_LINES.unsigned_abs() {
        return Err(Error::TooManyGroups);
    }
    Ok(lines)
}

/// What the customer's calls of each bucket cost, and the credits they drew.
pub(super) fn by_bucket(lines: &[Line], buckets: usize) -> Vec<(i64, i64)> {
    let mut sums = vec![(0, 0); buckets];
    for line in lines.iter().filter(|line| line.paid_by != Payer::Platform) {
        let (cost, credits) = &mut sums[line.index()];
        *cost += line.cost_nano_usd;
        *credits += line.credits;
    }
    sums
}

/// Sums over outcomes and payers. A bucket without calls has one group of zeros.
pub(super) fn merge(
    lines: Vec<Line>,
    bucket: Option<Bucket>,
    bounds: &[DateTime<Utc>],
) -> Vec<Group> {
    let mut buckets: Vec<BTreeMap<Key, Totals>> = vec![BTreeMap::new(); bounds.len() - 1];
    for line in lines {
        buckets[line.index()].entry(line.in_common()).or_default().add(&line);
    }
    let mut groups = Vec::new();
    for (mut keys, start) in buckets.into_iter().zip(bounds) {
        if keys.is_empty() && bucket.is_some() {
            keys.insert(Key::default(), Totals::default());
        }
        let mut keys: Vec<(Key, Totals)> = keys.into_iter().collect();
        keys.sort_by_key(|(_, totals)| Reverse(totals.cost_nano_usd));
        let start = bucket.map(|_| *start);
        groups.extend(keys.into_iter().map(|(key, totals)| Group { start, key, totals }));
    }
    groups
}
