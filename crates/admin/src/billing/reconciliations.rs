use ::billing::Reconciliation;
use audit::{Entry, Origin};
use axum::{extract::State, http::StatusCode};
use utoipa_axum::routes;
use web::{Access, Json, Page, PageQuery, Query, Routes};

use crate::Admin;

pub(super) fn routes() -> Routes<Admin> {
    Routes::new().route(Access::operators(), routes!(list_reconciliations, reconcile))
}

/// List the comparisons of our books with Stripe's, the newest first.
#[utoipa::path(get, path = "/admin/v1/billing/reconciliations", tag = "operators", params(PageQuery),
    responses((status = 200, body = Page<Reconciliation>)))]
async fn list_reconciliations(
    State(admin): State<Admin>,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<Reconciliation>>> {
    Ok(Json(Reconciliation::list(admin.db.pool(), &query).await?))
}

/// Compare our books with Stripe's now instead of tonight; what differs is repaired where it can be.
#[utoipa::path(post, path = "/admin/v1/billing/reconciliations", tag = "operators",
    responses((status = 201, body = Reconciliation)))]
async fn reconcile(
    State(admin): State<Admin>,
    origin: Origin,
) -> web::Result<(StatusCode, Json<Reconciliation>)> {
    // Before it begins: it repairs as it goes, and may not get to its end.
    let mut db = admin.db.pool().acquire().await?;
    let entry = Entry::new(&origin, None, "billing.reconciled", "stripe");
    entry.record(&mut db, admin.clock.now()).await?;
    drop(db);
    Ok((StatusCode::CREATED, Json(admin.billing.reconcile().await?)))
}
