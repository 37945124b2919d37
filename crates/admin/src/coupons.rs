use audit::Origin;
use axum::{extract::State, http::StatusCode};
use billing::{Coupon, CouponInput};
use kernel::Id;
use utoipa_axum::routes;
use web::{Access, Json, Page, PageQuery, Path, Query, Routes};

use crate::Admin;

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators(), routes!(list_coupons))
        .route(Access::operators().after_recent_sign_in(), routes!(create_coupon))
        .route(Access::operators(), routes!(disable_coupon))
}

/// List coupons, the newest first, and how often each was redeemed.
#[utoipa::path(get, path = "/admin/v1/coupons", tag = "operators", params(PageQuery),
    responses((status = 200, body = Page<Coupon>)))]
async fn list_coupons(
    State(admin): State<Admin>,
    Query(query): Query<PageQuery>,
) -> web::Result<Json<Page<Coupon>>> {
    Ok(Json(Coupon::list(admin.db.pool(), &query).await?))
}

/// Make a coupon: percent or an amount off purchases, or credits.
#[utoipa::path(post, path = "/admin/v1/coupons", tag = "operators", request_body = CouponInput,
    responses((status = 201, body = Coupon)))]
async fn create_coupon(
    State(admin): State<Admin>,
    origin: Origin,
    Json(input): Json<CouponInput>,
) -> web::Result<(StatusCode, Json<Coupon>)> {
    let mut tx = admin.db.begin().await?;
    let coupon = admin.billing.create_coupon(&mut tx, input, &origin).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(coupon)))
}

/// Switch a coupon off. What it gave stays given.
#[utoipa::path(delete, path = "/admin/v1/coupons/{id}", tag = "operators",
    params(("id" = String, Path, format = Uuid)), responses((status = 204)))]
async fn disable_coupon(
    State(admin): State<Admin>,
    Path(id): Path<Id<Coupon>>,
    origin: Origin,
) -> web::Result<StatusCode> {
    let mut tx = admin.db.begin().await?;
    admin.billing.disable_coupon(&mut tx, id, &origin).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
