use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Permission, Routes};

use super::redemption::Redeemed;
use crate::Billing;

pub(crate) fn routes(pay: Permission) -> Routes<Billing> {
    Routes::new().route(Access::to(pay), routes!(redeem_coupon))
}

/// A coupon to be redeemed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CouponCode {
    /// Its code.
    #[schema(example = "WELCOME", max_length = 40)]
    code: String,
}

/// Redeem a coupon for credits, once a person and once an org. One that makes a purchase cheaper is
/// named when buying.
#[utoipa::path(post, path = "/v1/billing/coupon-redemptions", tag = "billing",
    request_body = CouponCode, responses((status = 201, body = Redeemed)))]
async fn redeem_coupon(
    State(billing): State<Billing>,
    caller: Caller,
    Json(CouponCode { code }): Json<CouponCode>,
) -> web::Result<(StatusCode, Json<Redeemed>)> {
    Ok((StatusCode::CREATED, Json(billing.redeem(caller.org, caller.user, &code).await?)))
}
