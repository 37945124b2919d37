use ::billing::TimelineItem;
use axum::extract::State;
use kernel::{Id, Org};
use utoipa_axum::routes;
use web::{Access, Json, Path, Routes};

use crate::{Admin, orgs::Summary};

pub(super) fn routes() -> Routes<Admin> {
    Routes::new().route(Access::operators(), routes!(show_timeline))
}

/// Explain an org's money from its first event to its balance: Stripe's events, plans, payments,
/// refunds, disputes, and every credit given, spent, lapsed or taken back, with running balances.
#[utoipa::path(get, path = "/admin/v1/billing/orgs/{id}/timeline", tag = "operators",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Vec<TimelineItem>)))]
async fn show_timeline(
    State(admin): State<Admin>,
    Path(id): Path<Id<Org>>,
) -> web::Result<Json<Vec<TimelineItem>>> {
    let mut db = admin.db.pool().acquire().await?;
    Summary::get(&mut *db, id).await?;
    Ok(Json(TimelineItem::of(&mut *db, id).await?))
}
