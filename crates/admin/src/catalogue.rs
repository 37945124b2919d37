use audit::Origin;
use axum::extract::State;
use billing::{Catalogue, CatalogueVersion};
use utoipa_axum::routes;
use web::{Access, Etag, IfMatch, Json, Routes};

use crate::Admin;

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(show_catalogue))
        .route(Access::operators().after_recent_sign_in(), routes!(publish_catalogue))
        .route(Access::operators(), routes!(list_catalogue_versions))
}

/// Show what is sold: the catalogue in force.
#[utoipa::path(get, path = "/admin/v1/catalogue", tag = "operators",
    responses((status = 200, body = CatalogueVersion)))]
async fn show_catalogue(State(admin): State<Admin>) -> web::Result<(Etag, Json<CatalogueVersion>)> {
    let version = admin.billing.catalogue().await?;
    Ok((Etag(version.version.into()), Json(version)))
}

/// Put a catalogue in force, as a new version, within a second and everywhere.
///
/// Stripe's prices follow. A changed price is for new purchases: existing subscriptions keep theirs.
/// What a plan gives more, its subscribers have at once; what it gives less, from their next period on.
#[utoipa::path(put, path = "/admin/v1/catalogue", tag = "operators", request_body = Catalogue,
    params(("If-Match" = Option<String>, Header)), responses((status = 200, body = CatalogueVersion)))]
async fn publish_catalogue(
    State(admin): State<Admin>,
    origin: Origin,
    if_match: IfMatch,
    Json(catalogue): Json<Catalogue>,
) -> web::Result<(Etag, Json<CatalogueVersion>)> {
    let version = admin.billing.publish(catalogue, if_match, None, &origin).await?;
    Ok((Etag(version.version.into()), Json(version)))
}

/// List the last hundred versions of the catalogue, the newest first.
#[utoipa::path(get, path = "/admin/v1/catalogue/versions", tag = "operators",
    responses((status = 200, body = Vec<CatalogueVersion>)))]
async fn list_catalogue_versions(
    State(admin): State<Admin>,
) -> web::Result<Json<Vec<CatalogueVersion>>> {
    Ok(Json(admin.billing.catalogue_versions().await?))
}
