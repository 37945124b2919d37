use chrono::{DateTime, Utc};
use kernel::{Id, NanoUsd, Org};
use serde::Serialize;
use sqlx::PgExecutor;
use utoipa::ToSchema;

/// What an org used in a span of time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageSummary)]
pub struct Summary {
    /// From then, inclusive.
    pub from: DateTime<Utc>,
    /// Until then, exclusive.
    pub to: DateTime<Utc>,
    /// All of it.
    pub total: Totals,
    /// By model, the dearest first.
    pub models: Vec<ModelTotals>,
}

/// Sums over calls.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = UsageTotals)]
pub struct Totals {
    /// How many calls.
    pub calls: i64,
    /// Prompt tokens, cached ones included.
    pub input_tokens: i64,
    /// Tokens of the answers.
    pub output_tokens: i64,
    /// Images made.
    pub images: i64,
    /// What it cost at the providers, in nano-USD.
    pub cost_nano_usd: NanoUsd,
    /// Credits drawn.
    pub credits: i64,
}

/// Sums over the calls of one model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageModelTotals)]
pub struct ModelTotals {
    /// Which one.
    pub model: String,
    /// Its sums.
    #[serde(flatten)]
    pub totals: Totals,
}

impl Summary {
    /// The usage of `org` from `from` until `to`.
    pub async fn of(
        db: impl PgExecutor<'_>,
        org: Id<Org>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> sqlx::Result<Self> {
        let rows = sqlx::query!(
            r#"select model,
                      count(*) as "calls!",
                      sum(input_tokens)::bigint as "input_tokens!",
                      sum(output_tokens)::bigint as "output_tokens!",
                      sum(images)::bigint as "images!",
                      sum(cost_nano_usd)::bigint as "cost!",
                      sum(credits)::bigint as "credits!"
               from usage_records
               where org_id = $1 and created_at >= $2 and created_at < $3
               group by model
               order by sum(cost_nano_usd) desc, model"#,
            org as _,
            from,
            to,
        )
        .fetch_all(db)
        .await?;
        let models: Vec<ModelTotals> = rows
            .into_iter()
            .map(|row| ModelTotals {
                model: row.model,
                totals: Totals {
                    calls: row.calls,
                    input_tokens: row.input_tokens,
                    output_tokens: row.output_tokens,
                    images: row.images,
                    cost_nano_usd: NanoUsd(row.cost),
                    credits: row.credits,
                },
            })
            .collect();
        let total = models.iter().fold(Totals::default(), |sum, model| sum.plus(&model.totals));
        Ok(Self { from, to, total, models })
    }
}

impl Totals {
    fn plus(self, other: &Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            input_tokens: self.input_tokens + other.input_tokens,
            output_tokens: self.output_tokens + other.output_tokens,
            images: self.images + other.images,
            cost_nano_usd: self.cost_nano_usd + other.cost_nano_usd,
            credits: self.credits + other.credits,
        }
    }
}
