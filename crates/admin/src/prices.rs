use audit::Origin;
use axum::{extract::State, http::StatusCode};
use kernel::Id;
use serde::Serialize;
use usage::{NewPrice, Price, PriceVersion};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Json, Path, Routes};

use crate::Admin;

pub(crate) fn routes() -> Routes<Admin> {
    let operators = Access::operators();
    Routes::new()
        .route(operators, routes!(list_prices))
        .route(operators, routes!(propose_price))
        .route(operators, routes!(withdraw_price))
}

/// Every version of every price.
#[derive(Serialize, ToSchema)]
struct PriceList {
    /// By model, the newest first.
    items: Vec<PriceVersion>,
}

/// A price that is in the book now.
#[derive(Serialize, ToSchema)]
struct Proposed {
    /// Identifies it.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Price>,
}

/// List the price book: what models cost, did and will.
#[utoipa::path(get, path = "/admin/v1/prices", tag = "operators",
    responses((status = 200, body = PriceList)))]
async fn list_prices(State(admin): State<Admin>) -> web::Result<Json<PriceList>> {
    Ok(Json(PriceList { items: PriceVersion::list(admin.db.pool()).await? }))
}

/// Put a price into the book, to be in force from a date on. What has begun is never changed.
#[utoipa::path(post, path = "/admin/v1/prices", tag = "operators", request_body = NewPrice,
    responses((status = 201, body = Proposed)))]
async fn propose_price(
    State(admin): State<Admin>,
    origin: Origin,
    Json(price): Json<NewPrice>,
) -> web::Result<(StatusCode, Json<Proposed>)> {
    let mut tx = admin.db.begin().await?;
    let id = price.propose(&mut tx, &origin, admin.clock.now()).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(Proposed { id })))
}

/// Take a price that has not begun out of the book.
#[utoipa::path(delete, path = "/admin/v1/prices/{id}", tag = "operators",
    params(("id" = String, Path, format = Uuid)), responses((status = 204)))]
async fn withdraw_price(
    State(admin): State<Admin>,
    Path(id): Path<Id<Price>>,
    origin: Origin,
) -> web::Result<StatusCode> {
    let mut tx = admin.db.begin().await?;
    PriceVersion::withdraw(&mut tx, id, &origin, admin.clock.now()).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
