use audit::{Entry, Origin};
use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use kernel::Id;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Json, Path, Problem, Routes};

use crate::{Alerts, silence::Silence};

/// Nobody forgets for longer that nothing is told.
const LONGEST: TimeDelta = TimeDelta::days(30);

pub(crate) fn routes() -> Routes<Alerts> {
    Routes::new()
        .route(Access::operators(), routes!(list_silences, begin_silence))
        .route(Access::operators(), routes!(end_silence))
}

/// What is not to be told.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SilenceInput {
    /// Of which rule; absent: of any.
    #[schema(example = "mail_bounces")]
    rule: Option<String>,
    /// Until when, at most 30 days.
    until: DateTime<Utc>,
    /// Why.
    #[schema(min_length = 1, max_length = 500, example = "The provider migrates tonight")]
    reason: String,
}

/// List the silences that have not ended.
#[utoipa::path(get, path = "/admin/v1/alert-silences", tag = "operators",
    responses((status = 200, body = Vec<Silence>)))]
async fn list_silences(State(alerts): State<Alerts>) -> web::Result<Json<Vec<Silence>>> {
    Ok(Json(Silence::list(alerts.db.pool(), alerts.clock.now()).await?))
}

/// Tell nothing of a rule, or of any, for a time. What still is wrong then is told then.
#[utoipa::path(post, path = "/admin/v1/alert-silences", tag = "operators", request_body = SilenceInput,
    responses((status = 201, body = Silence)))]
async fn begin_silence(
    State(alerts): State<Alerts>,
    origin: Origin,
    Json(input): Json<SilenceInput>,
) -> web::Result<(StatusCode, Json<Silence>)> {
    let now = alerts.clock.now();
    let reason = input.reason.trim();
    if !(1..=500).contains(&reason.chars().count()) || reason.contains('\0') {
        return Err(Problem::invalid_field("/reason", "must be 1 to 500 characters"));
    }
    if input.until <= now || input.until > now + LONGEST {
        return Err(Problem::invalid_field("/until", "must be within the next 30 days"));
    }
    let rule = input.rule.as_deref();
    if rule.is_some_and(|name| !alerts.rules.iter().any(|rule| rule.name == name)) {
        return Err(Problem::invalid_field("/rule", "there is no such rule"));
    }
    let mut tx = alerts.db.begin().await?;
    let silence = Silence::begin(&mut tx, rule, reason, input.until, now).await?;
    let after = json!({ "rule": rule, "reason": reason, "until": input.until });
    let entry = Entry::new(&origin, None, "alert_silence.begun", silence.id);
    entry.after(after).record(&mut tx, now).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(silence)))
}

/// End a silence now.
#[utoipa::path(delete, path = "/admin/v1/alert-silences/{id}", tag = "operators",
    params(("id" = String, Path, format = Uuid)), responses((status = 204, description = "It has ended")))]
async fn end_silence(
    State(alerts): State<Alerts>,
    origin: Origin,
    Path(id): Path<Id<Silence>>,
) -> web::Result<StatusCode> {
    let now = alerts.clock.now();
    let mut tx = alerts.db.begin().await?;
    if !Silence::end(&mut tx, id, now).await? {
        return Err(Problem::not_found(
            "silence_not_found",
            "there is no such silence, or no longer",
        ));
    }
    Entry::new(&origin, None, "alert_silence.ended", id).record(&mut tx, now).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
