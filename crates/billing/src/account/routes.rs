use audit::{Entry, Origin};
use axum::{extract::State, http::StatusCode};
use utoipa_axum::routes;
use web::{Access, Caller, Json, Page, PageQuery, Path, Permission, Query, Routes};

use super::{details::Details, invoices::Invoice, portal::PortalSession};
use crate::Billing;

/// Invoices name people and addresses, so they are for those who pay.
const SEE: Permission = Permission::pay("invoices:read");

pub(crate) fn routes(pay: Permission) -> Routes<Billing> {
    Routes::new()
        .route(Access::to(pay).resumable(), routes!(open_portal))
        .route(Access::to(SEE), routes!(list_invoices))
        .route(Access::to(SEE), routes!(show_invoice))
        .route(Access::to(SEE), routes!(show_billing_details))
        .route(Access::to(pay), routes!(set_billing_details))
}

/// Open Stripe's portal: cards, invoices, receipts.
#[utoipa::path(post, path = "/v1/billing/portal-sessions", tag = "billing",
    responses((status = 201, body = PortalSession)))]
async fn open_portal(
    State(billing): State<Billing>,
    caller: Caller,
) -> web::Result<(StatusCode, Json<PortalSession>)> {
    Ok((StatusCode::CREATED, Json(billing.portal(caller.org).await?)))
}

/// List the org's invoices, the newest first, with links to page and PDF. Packs have one, too.
#[utoipa::path(get, path = "/v1/billing/invoices", tag = "billing", params(PageQuery),
    responses((status = 200, body = Page<Invoice>)))]
async fn list_invoices(
    State(billing): State<Billing>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<Invoice>>> {
    Ok(Json(billing.invoices(caller.org, &query).await?))
}

/// Show an invoice.
#[utoipa::path(get, path = "/v1/billing/invoices/{id}", tag = "billing",
    params(("id" = String, Path)), responses((status = 200, body = Invoice)))]
async fn show_invoice(
    State(billing): State<Billing>,
    caller: Caller,
    Path(id): Path<String>,
) -> web::Result<Json<Invoice>> {
    Ok(Json(billing.invoice(caller.org, &id).await?))
}

/// Show what stands on the org's invoices.
#[utoipa::path(get, path = "/v1/billing/details", tag = "billing",
    responses((status = 200, body = Details)))]
async fn show_billing_details(
    State(billing): State<Billing>,
    caller: Caller,
) -> web::Result<Json<Details>> {
    Ok(Json(billing.details(caller.org).await?))
}

/// Replace what stands on the org's invoices from now on: company, address, tax ids, e-mail.
#[utoipa::path(put, path = "/v1/billing/details", tag = "billing", request_body = Details,
    responses((status = 200, body = Details)))]
async fn set_billing_details(
    State(billing): State<Billing>,
    caller: Caller,
    origin: Origin,
    Json(details): Json<Details>,
) -> web::Result<Json<Details>> {
    let details = billing.set_details(caller.org, &details).await?;
    let mut tx = billing.db.begin().await?;
    // Not what they are: addresses have no place in the log.
    let entry = Entry::new(&origin, Some(caller.org), "billing_details.changed", caller.org);
    entry.record(&mut tx, billing.clock.now()).await?;
    tx.commit().await?;
    Ok(Json(details))
}
