use chrono::{DateTime, Utc};
use kernel::{ApiKey, Id, Org, User};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::{Price, Quantities};

/// A call that the response cache answered.
#[derive(Clone, Debug)]
pub struct CachedAnswer {
    /// Who it was made for.
    pub org: Id<Org>,
    /// The person, or the maker of the API key.
    pub user: Id<User>,
    /// The API key it was made with.
    pub api_key: Option<Id<ApiKey>>,
    /// The project it belongs to.
    pub project: Option<Uuid>,
    /// What was done, such as `chat`.
    pub operation: &'static str,
    /// Who served the answer in the first place.
    pub provider: String,
    /// Which model.
    pub model: String,
    /// What it was charged by then.
    pub price: Id<Price>,
    /// What it used then.
    pub quantities: Quantities,
    /// The request that was answered.
    pub request_id: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Writes down calls that the response cache answered, all at once. They cost nothing.
pub async fn record_cached(db: impl PgExecutor<'_>, answers: &[CachedAnswer]) -> sqlx::Result<()> {
    let each = |column: fn(&CachedAnswer) -> i64| answers.iter().map(column).collect::<Vec<_>>();
    let ids: Vec<_> = answers.iter().map(|_| Uuid::now_v7()).collect();
    let orgs: Vec<_> = answers.iter().map(|it| it.org.uuid()).collect();
    let users: Vec<_> = answers.iter().map(|it| it.user.uuid()).collect();
    let keys: Vec<_> = answers.iter().map(|it| it.api_key.map(Id::uuid)).collect();
    let projects: Vec<_> = answers.iter().map(|it| it.project).collect();
    let operations: Vec<_> = answers.iter().map(|it| it.operation.to_owned()).collect();
    let providers: Vec<_> = answers.iter().map(|it| it.provider.clone()).collect();
    let models: Vec<_> = answers.iter().map(|it| it.model.clone()).collect();
    let prices: Vec<_> = answers.iter().map(|it| it.price.uuid()).collect();
    let requests: Vec<_> = answers.iter().map(|it| it.request_id.clone()).collect();
    let times: Vec<_> = answers.iter().map(|it| it.at).collect();
    sqlx::query!(
        "insert into usage_records
             (id, org_id, user_id, api_key_id, project_id, operation, provider, model, price_id,
              outcome, paid_by, input_tokens, cached_input_tokens, cache_write_tokens,
              long_cache_write_tokens, output_tokens, images, estimated, cost_nano_usd, credits,
              request_id, reserved_at, created_at)
         select id, org, person, key, project, operation, provider, model, price,
                'cached', 'plan', input, cached, written, long, output, images, false, 0, 0, request,
                at, at
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[],
                     $7::text[], $8::text[], $9::uuid[], $10::bigint[], $11::bigint[],
                     $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::text[],
                     $17::timestamptz[])
              as answer (id, org, person, key, project, operation, provider, model, price, input,
                         cached, written, long, output, images, request, at)",
        &ids,
        &orgs,
        &users,
        &keys as _,
        &projects as _,
        &operations,
        &providers,
        &models,
        &prices,
        &each(|it| it.quantities.input_tokens),
        &each(|it| it.quantities.cached_input_tokens),
        &each(|it| it.quantities.cache_write_tokens),
        &each(|it| it.quantities.long_cache_write_tokens),
        &each(|it| it.quantities.output_tokens),
        &each(|it| it.quantities.images),
        &requests as _,
        &times,
    )
    .execute(db)
    .await?;
    Ok(())
}
