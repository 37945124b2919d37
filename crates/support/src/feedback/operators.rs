use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use chrono::TimeDelta;
use serde::Deserialize;
use usage::{Format, csv_file};
use utoipa::IntoParams;
use utoipa_axum::routes;
use web::{Access, Json, Page, PageQuery, Query, Routes};

use super::{
    given::{Feedback, Kind},
    report::SupportReport,
};
use crate::{Error, Support};

const COLUMNS: [&str; 8] =
    ["created_at", "id", "organization", "user", "kind", "score", "about", "comment"];

pub(crate) fn routes() -> Routes<Support> {
    let operators = Access::operators();
    Routes::new()
        .route(operators, routes!(list_feedback))
        .route(operators, routes!(show_support_report))
}

/// Which feedback.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Given {
    /// Of one kind.
    #[param(inline)]
    kind: Option<Kind>,
    /// As JSON, or as CSV for a spreadsheet.
    #[serde(default)]
    #[param(inline)]
    format: Format,
    /// Pieces per page.
    #[serde(default = "PageQuery::default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u16,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// How far back.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Since {
    /// Days.
    #[serde(default = "Since::default_days")]
    #[param(minimum = 1, maximum = 366, default = 30)]
    days: i64,
}

impl Since {
    fn default_days() -> i64 {
        30
    }
}

/// List what people think of the product, the newest first; as CSV the 10,000 newest pieces at once.
#[utoipa::path(get, path = "/admin/v1/feedback", tag = "operators", params(Given),
    responses((status = 200, content((Page<Feedback> = "application/json"), (String = "text/csv")))))]
async fn list_feedback(
    State(support): State<Support>,
    Query(query): Query<Given>,
) -> web::Result<Response> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let (db, before) = (support.db.pool(), page.after()?);
    if query.format == Format::Csv {
        let all = Feedback::list(db, query.kind, before, 10_000).await?;
        return csv_file("feedback.csv", COLUMNS, all.into_iter().map(cells));
    }
    let rows = Feedback::list(db, query.kind, before, page.rows()?).await?;
    Ok(Json(Page::new(&page, rows, |feedback| feedback.id)).into_response())
}

fn cells(it: Feedback) -> [String; COLUMNS.len()] {
    let kind = match it.kind {
        Kind::Recommendation => "recommendation",
        Kind::Satisfaction => "satisfaction",
        Kind::Idea => "idea",
    };
    [
        it.created_at.to_rfc3339(),
        it.id.to_string(),
        it.org_id.to_string(),
        it.user_id.to_string(),
        kind.to_owned(),
        it.score.map(|score| score.to_string()).unwrap_or_default(),
        it.about.unwrap_or_default(),
        it.comment.unwrap_or_default(),
    ]
}

/// Show how people fare with the product: tickets by people, how long answers take, and how satisfied they are.
#[utoipa::path(get, path = "/admin/v1/support-report", tag = "operators", params(Since),
    responses((status = 200, body = SupportReport)))]
async fn show_support_report(
    State(support): State<Support>,
    Query(query): Query<Since>,
) -> web::Result<Json<SupportReport>> {
    if !(1..=366).contains(&query.days) {
        return Err(Error::Field("/days", "must be 1 to 366".to_owned()).into());
    }
    let since = support.clock.now() - TimeDelta::days(query.days);
    Ok(Json(SupportReport::since(support.db.pool(), since).await?))
}
