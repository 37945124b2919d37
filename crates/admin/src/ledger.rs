use audit::{Entry, Origin};
use axum::{extract::State, http::header, response::IntoResponse};
use quotas::Month;
use utoipa_axum::routes;
use web::{Access, Path, Problem, Routes};

use crate::Admin;

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new().route(Access::operators(), routes!(close_month, export_month))
}

fn month(text: &str) -> web::Result<Month> {
    Month::parse(text)
        .ok_or_else(|| Problem::bad_request("invalid_month", "months look like 2026-11"))
}

/// Close a month's books, which an hour after its end happens by itself; answers them as CSV.
#[utoipa::path(put, path = "/admin/v1/ledger/closes/{month}", tag = "operators",
    params(("month" = String, Path, example = "2026-11")),
    responses((status = 200, body = String, content_type = "text/csv")))]
async fn close_month(
    State(admin): State<Admin>,
    origin: Origin,
    Path(text): Path<String>,
) -> web::Result<impl IntoResponse> {
    let (month, now) = (month(&text)?, admin.clock.now());
    let mut tx = admin.db.begin().await?;
    if month.close(&mut tx, now).await? {
        Entry::new(&origin, None, "ledger.month_closed", month).record(&mut tx, now).await?;
    }
    tx.commit().await?;
    let csv = month.export(admin.db.pool()).await?;
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], csv))
}

/// Export a closed month's books as CSV: the same bytes whenever they are asked for.
#[utoipa::path(get, path = "/admin/v1/ledger/closes/{month}", tag = "operators",
    params(("month" = String, Path, example = "2026-11")),
    responses((status = 200, body = String, content_type = "text/csv")))]
async fn export_month(
    State(admin): State<Admin>,
    Path(text): Path<String>,
) -> web::Result<impl IntoResponse> {
    let csv = month(&text)?.export(admin.db.pool()).await?;
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], csv))
}
