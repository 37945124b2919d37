use audit::Origin;
use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use usage::{DailyCost, Drift, PriceBook, ProviderCost, Replay, Scenario, UnitEconomics, replay};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Json, Problem, Query, Routes};

use crate::{Admin, days::Days};

pub(crate) fn routes() -> Routes<Admin> {
    let operators = Access::operators();
    Routes::new()
        .route(operators, routes!(list_costs))
        .route(operators, routes!(unit_economics))
        .route(operators, routes!(list_drift))
        .route(operators, routes!(import_costs))
        .route(operators, routes!(what_if))
}

/// Costs by org, day and model.
#[derive(Serialize, ToSchema)]
struct CostList {
    /// In this order.
    items: Vec<DailyCost>,
}

/// What providers charged, beside what was recorded.
#[derive(Serialize, ToSchema)]
struct DriftList {
    /// By day, provider and model.
    items: Vec<DriftLine>,
}

/// A day of a model.
#[derive(Serialize, ToSchema)]
struct DriftLine {
    #[serde(flatten)]
    drift: Drift,
    /// Whether they differ by more than `USAGE_DRIFT_PERCENT` and calls with unknown outcome can explain.
    drifted: bool,
}

/// What providers charged, by their own account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CostInput {
    /// Each replaces what was known of its day and model.
    #[serde(default)]
    costs: Vec<ProviderCost>,
    /// The same as CSV with the columns `provider`, `model`, `day`, `cost_nano_usd`.
    csv: Option<String>,
}

/// What might have been.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WhatIf {
    /// Whose calls; everybody's unless given.
    #[schema(value_type = Option<uuid::Uuid>)]
    org: Option<Id<Org>>,
    /// Calls that ended then or later.
    from: DateTime<Utc>,
    /// Calls that ended before then; at most 31 days later.
    to: DateTime<Utc>,
    /// Other models and prices; without any, the prices in force now.
    #[serde(default)]
    scenario: Scenario,
}

/// What each org cost, by day and model.
#[utoipa::path(get, path = "/admin/v1/costs", tag = "operators", params(Days),
    responses((status = 200, body = CostList)))]
async fn list_costs(
    State(admin): State<Admin>,
    Query(days): Query<Days>,
) -> web::Result<Json<CostList>> {
    let (from, to) = days.span(admin.clock.now())?;
    Ok(Json(CostList { items: DailyCost::list(admin.db.pool(), from, to).await? }))
}

/// What active users cost, against the target.
#[utoipa::path(get, path = "/admin/v1/unit-economics", tag = "operators", params(Days),
    responses((status = 200, body = UnitEconomics)))]
async fn unit_economics(
    State(admin): State<Admin>,
    Query(days): Query<Days>,
) -> web::Result<Json<UnitEconomics>> {
    let (from, to) = days.span(admin.clock.now())?;
    let target = admin.usage.config.target(to - from);
    Ok(Json(UnitEconomics::of(admin.db.pool(), from, to, target).await?))
}

/// What providers charged, beside what was recorded.
#[utoipa::path(get, path = "/admin/v1/provider-costs", tag = "operators", params(Days),
    responses((status = 200, body = DriftList)))]
async fn list_drift(
    State(admin): State<Admin>,
    Query(days): Query<Days>,
) -> web::Result<Json<DriftList>> {
    let (from, to) = days.resolve(admin.clock.now())?;
    let tolerance = admin.usage.config.usage_drift_percent;
    let drifts = Drift::list(admin.db.pool(), from, to).await?.into_iter();
    let line = |drift: Drift| DriftLine { drifted: !drift.is_within(tolerance), drift };
    Ok(Json(DriftList { items: drifts.map(line).collect() }))
}

/// Import what providers charged.
#[utoipa::path(post, path = "/admin/v1/provider-costs", tag = "operators", request_body = CostInput,
    responses((status = 204)))]
async fn import_costs(
    State(admin): State<Admin>,
    origin: Origin,
    Json(input): Json<CostInput>,
) -> web::Result<StatusCode> {
    let mut costs = input.costs;
    if let Some(csv) = input.csv {
        costs.extend(ProviderCost::from_csv(csv.as_bytes())?);
    }
    let mut tx = admin.db.begin().await?;
    ProviderCost::import(&mut tx, &costs, &origin, admin.clock.now()).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Replay the calls of a span on other models or prices.
#[utoipa::path(post, path = "/admin/v1/replays", tag = "operators", request_body = WhatIf,
    responses((status = 200, body = Replay)))]
async fn what_if(
    State(admin): State<Admin>,
    Json(input): Json<WhatIf>,
) -> web::Result<Json<Replay>> {
    let length = input.to.signed_duration_since(input.from);
    if length <= TimeDelta::zero() || length > TimeDelta::days(31) {
        let detail = "the range must end after it begins and be at most 31 days long";
        return Err(Problem::unprocessable("invalid_range", detail));
    }
    let book: &PriceBook = &admin.usage.prices;
    let book = book.models().await?;
    let mut tx = admin.db.begin().await?;
    usage::allow_long_statements(&mut tx).await?;
    let (org, from, to) = (input.org, input.from, input.to);
    Ok(Json(replay(&mut tx, &book, org, from, to, &input.scenario).await?))
}
