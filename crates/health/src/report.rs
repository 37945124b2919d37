use std::collections::BTreeMap;

use app::Check;
use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HealthStatus {
    /// It works.
    Pass,
    /// It does not, but the rest works without it.
    Warn,
    /// It does not, and nothing works without it.
    Fail,
}

/// The state of this instance, in the form of draft-inadarei-api-health-check-06.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct HealthReport {
    /// The worst of all checks.
    pub(crate) status: HealthStatus,
    /// Why, if no check is the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<&'static str>,
    /// What was observed, by what was looked at.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) checks: BTreeMap<&'static str, [HealthObservation; 1]>,
}

/// The result of one check.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HealthObservation {
    /// Whether it passed.
    pub(crate) status: HealthStatus,
    /// How long it took.
    pub(crate) observed_value: u64,
    /// The unit of that: `ms`.
    pub(crate) observed_unit: &'static str,
    /// When it began.
    pub(crate) time: DateTime<Utc>,
    /// What is wrong, without details: they are in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<&'static str>,
}

impl HealthReport {
    /// Nothing was looked at.
    pub(crate) fn bare(status: HealthStatus, output: Option<&'static str>) -> Self {
        Self { status, output, checks: BTreeMap::new() }
    }

    /// As well as the worst of `observations`.
    pub(crate) fn of(observations: Vec<(&'static str, HealthObservation)>) -> Self {
        let worst = observations.iter().map(|(_, observation)| observation.status).max();
        let checks = observations.into_iter().map(|(name, it)| (name, [it])).collect();
        Self { checks, ..Self::bare(worst.unwrap_or(HealthStatus::Pass), None) }
    }
}

impl HealthStatus {
    /// What it means that `check` failed.
    pub(crate) fn without(check: &Check) -> Self {
        if check.critical { Self::Fail } else { Self::Warn }
    }
}

impl IntoResponse for HealthReport {
    fn into_response(self) -> Response {
        let status = match self.status {
            HealthStatus::Pass | HealthStatus::Warn => StatusCode::OK,
            HealthStatus::Fail => StatusCode::SERVICE_UNAVAILABLE,
        };
        let body = serde_json::json!(self).to_string();
        (status, [(header::CONTENT_TYPE, "application/health+json")], body).into_response()
    }
}
