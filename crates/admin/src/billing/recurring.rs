use ::billing::RecurringRevenue;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Json, Routes};

use crate::Admin;

pub(super) fn routes() -> Routes<Admin> {
    Routes::new().route(Access::operators(), routes!(show_recurring_revenue))
}

/// By currency.
#[derive(Serialize, ToSchema)]
struct RecurringRevenueList {
    /// One for each currency in which somebody subscribes.
    items: Vec<RecurringRevenue>,
}

/// What subscriptions bring each month and year as they stand now (MRR, ARR, ARPU), before discounts,
/// without packs and overage.
#[utoipa::path(get, path = "/admin/v1/recurring-revenue", tag = "operators",
    responses((status = 200, body = RecurringRevenueList)))]
async fn show_recurring_revenue(
    State(admin): State<Admin>,
) -> web::Result<Json<RecurringRevenueList>> {
    let items = admin.billing.recurring_revenue(admin.db.pool()).await?;
    Ok(Json(RecurringRevenueList { items }))
}
