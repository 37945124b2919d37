use axum::{
    extract::State,
    http::{HeaderName, StatusCode},
};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Id, NanoUsd, Org};
use quotas::Call;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Json, Problem, RawJson, Routes};

use crate::{
    Ai,
    asked::Context,
    chat::{self, INVOKE},
    embeddings,
    error::ApiResult,
    images,
};

/// Names the quote that a call must keep to.
pub(crate) const QUOTE: HeaderName = HeaderName::from_static("x-slipway-quote");

/// How long a quote can be called in.
const VALID: TimeDelta = TimeDelta::minutes(15);

pub(crate) fn routes() -> Routes<Ai> {
    Routes::new().route(Access::to(INVOKE), routes!(create_quote))
}

/// The most that a call can cost, told before it is made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Quote {
    /// To be sent with the call as `X-Slipway-Quote`: it is then refused if it could cost more.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Quote>,
    /// The most that it can cost.
    max_cost_nano_usd: i64,
    /// The most credits that it can draw; none while the plan includes it.
    max_credits: i64,
    /// Until when it can be used.
    expires_at: DateTime<Utc>,
}

/// A call to be quoted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewQuote {
    operation: Quotable,
    /// The request, as the operation would be sent it.
    #[schema(value_type = Object)]
    request: Box<RawValue>,
}

/// What can be quoted.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Quotable {
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/embeddings`
    Embedding,
    /// `POST /v1/images/generations`
    Image,
}

/// The most that a call can cost. Nothing is reserved by it.
#[utoipa::path(
    post, path = "/v1/quotes", tag = "ai",
    request_body = NewQuote, responses((status = 201, body = Quote))
)]
async fn create_quote(
    State(ai): State<Ai>,
    context: Context,
    body: RawJson,
) -> ApiResult<(StatusCode, Json<Quote>)> {
    let new: NewQuote = body.parse()?;
    let request = RawJson(Bytes::copy_from_slice(new.request.get().as_bytes()));
    let org = context.by.org;
    let asked = match new.operation {
        Quotable::Chat => chat::ask(&ai, context, request).await?.0,
        Quotable::Embedding => embeddings::ask(&ai, context, request).await?,
        Quotable::Image => images::ask(&ai, context, request).await?,
    };
    let quote = Quote {
        id: Id::new(),
        max_cost_nano_usd: asked.call.max_cost.0,
        max_credits: ai.credits_at_most(&asked.call),
        expires_at: ai.clock.now() + VALID,
    };
    let mut tx = ai.db.tenant(org).await?;
    quote.insert(&mut tx, org, ai.clock.now()).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(quote)))
}

impl Quote {
    /// Refuses a call that can cost more than it was quoted at.
    pub(crate) fn check(&self, call: &Call, credits: i64) -> Result<(), Problem> {
        if call.max_cost <= NanoUsd(self.max_cost_nano_usd) && credits <= self.max_credits {
            return Ok(());
        }
        let detail = "the call can cost more than it was quoted at";
        Err(Problem::unprocessable("quote_exceeded", detail)
            .action("Ask for a quote of this very request, and send it unchanged."))
    }

    /// The quote that the caller named.
    pub(crate) async fn find(
        db: impl PgExecutor<'_>,
        id: Id<Self>,
        now: DateTime<Utc>,
    ) -> Result<Self, Problem> {
        let found = sqlx::query_as!(
            Self,
            r#"select id as "id: _", max_nano_usd as max_cost_nano_usd, max_credits, expires_at
               from ai_quotes
               where id = $1 and expires_at > $2"#,
            id as _,
            now,
        )
        .fetch_optional(db)
        .await?;
        found.ok_or_else(|| {
            Problem::unprocessable("unknown_quote", "there is no such quote, or it has expired")
                .action("Ask for a new one with POST /v1/quotes.")
        })
    }

    async fn insert(
        &self,
        db: &mut PgConnection,
        org: Id<Org>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into ai_quotes (id, org_id, max_nano_usd, max_credits, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6)",
            self.id as _,
            org as _,
            self.max_cost_nano_usd,
            self.max_credits,
            now,
            self.expires_at,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
