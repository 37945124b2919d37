use audit::{Entry, Origin};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use web::{Access, Json, Page, PageQuery, Problem, Query, Routes};

use crate::{Alerts, Limit, Trial, alert::Alert};

pub(crate) fn routes() -> Routes<Alerts> {
    Routes::new()
        .route(Access::operators(), routes!(list_alerts))
        .route(Access::operators(), routes!(list_alert_rules))
        .route(Access::operators(), routes!(test_alerts))
}

/// Which alerts.
#[derive(Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only those that are over, or only those that are not.
    resolved: Option<bool>,
    /// Items per page.
    #[serde(default = "PageQuery::default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u16,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What is watched.
#[derive(Serialize, ToSchema)]
struct AlertRule {
    /// Its name.
    name: &'static str,
    /// What is wrong when it is broken.
    title: &'static str,
    /// What is measured.
    measures: &'static str,
    /// What to do first.
    advice: &'static str,
    /// More is wrong.
    at_most: Option<i64>,
    /// Less is wrong.
    at_least: Option<i64>,
    /// Of what these are numbers: `s`, `%`, or nothing.
    unit: &'static str,
    /// The setting that says so.
    setting: &'static str,
}

/// List alerts, the newest first.
#[utoipa::path(get, path = "/admin/v1/alerts", tag = "operators", params(Which),
    responses((status = 200, body = Page<Alert>)))]
async fn list_alerts(
    State(alerts): State<Alerts>,
    Query(query): Query<Which>,
) -> web::Result<Json<Page<Alert>>> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let (before, rows) = (page.after()?, page.rows()?);
    let rows = Alert::list(alerts.db.pool(), query.resolved, before, rows).await?;
    Ok(Json(Page::new(&page, rows, |alert| alert.id)))
}

/// List what is watched.
#[utoipa::path(get, path = "/admin/v1/alert-rules", tag = "operators",
    responses((status = 200, body = Vec<AlertRule>)))]
async fn list_alert_rules(State(alerts): State<Alerts>) -> Json<Vec<AlertRule>> {
    let rules = alerts.rules.iter().map(|rule| {
        let (at_most, at_least) = match rule.limit {
            Limit::AtMost(most) => (Some(most), None),
            Limit::AtLeast(least) => (None, Some(least)),
        };
        AlertRule {
            name: rule.name,
            title: rule.title,
            measures: rule.measures,
            advice: rule.advice,
            at_most,
            at_least,
            unit: rule.unit.trim(),
            setting: rule.setting,
        }
    });
    Json(rules.collect())
}

/// Send a test alert by every channel that is set up.
#[utoipa::path(post, path = "/admin/v1/alert-tests", tag = "operators",
    responses((status = 200, body = Vec<Trial>)))]
async fn test_alerts(
    State(alerts): State<Alerts>,
    origin: Origin,
) -> web::Result<Json<Vec<Trial>>> {
    let mut db = alerts.db.pool().acquire().await?;
    let entry = Entry::new(&origin, None, "alerts.tested", "channels");
    entry.record(&mut db, alerts.clock.now()).await?;
    drop(db);
    Ok(Json(alerts.try_channels().await.map_err(Problem::unavailable)?))
}
