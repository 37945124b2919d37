use ::billing::Closure;
use audit::Origin;
use axum::{extract::State, http::StatusCode};
use kernel::{Id, Org};
use utoipa_axum::routes;
use web::{Access, Json, Path, Problem, Routes};

use crate::{Admin, orgs::Summary};

pub(super) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators().after_recent_sign_in(), routes!(close_billing))
        .route(Access::operators(), routes!(show_closure))
}

/// End everything an org pays for, at once, and have Stripe delete the customer. Its ledger stays,
/// and names nobody. It cannot be undone.
#[utoipa::path(put, path = "/admin/v1/billing/orgs/{id}/closure", tag = "operators",
    params(("id" = String, Path, format = Uuid)), responses((status = 202, body = Closure)))]
async fn close_billing(
    State(admin): State<Admin>,
    Path(id): Path<Id<Org>>,
    origin: Origin,
) -> web::Result<(StatusCode, Json<Closure>)> {
    let mut tx = admin.db.begin().await?;
    Summary::get(&mut *tx, id).await?;
    Closure::request(&mut tx, id, &origin, admin.clock.now()).await?;
    let closure = Closure::of(&mut *tx, id).await?.ok_or_else(none)?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(closure)))
}

/// Show how far the closing of an org's account is.
#[utoipa::path(get, path = "/admin/v1/billing/orgs/{id}/closure", tag = "operators",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Closure)))]
async fn show_closure(
    State(admin): State<Admin>,
    Path(id): Path<Id<Org>>,
) -> web::Result<Json<Closure>> {
    Ok(Json(Closure::of(admin.db.pool(), id).await?.ok_or_else(none)?))
}

fn none() -> Problem {
    Problem::not_found("not_closed", "nobody asked to close this account")
}
