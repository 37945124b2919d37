use ::billing::{Payment, Refund, RefundInput};
use audit::Origin;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
};
use kernel::Id;
use utoipa_axum::routes;
use web::{Access, Json, Path, Problem, Routes};

use crate::Admin;

pub(super) fn routes() -> Routes<Admin> {
    Routes::new()
        .route(Access::operators().after_recent_sign_in(), routes!(refund_payment))
        .route(Access::operators(), routes!(list_refunds))
}

/// Give a payment back, in part or whole, once per Idempotency-Key; its credits are taken back in
/// proportion. 202: Stripe does not answer just now and is asked again, until it does.
#[utoipa::path(post, path = "/admin/v1/billing/payments/{id}/refunds", tag = "operators",
    params(("id" = String, Path, format = Uuid), ("Idempotency-Key" = String, Header)),
    request_body = RefundInput,
    responses((status = 201, body = Refund), (status = 202, body = Refund)))]
async fn refund_payment(
    State(admin): State<Admin>,
    Path(id): Path<Id<Payment>>,
    headers: HeaderMap,
    origin: Origin,
    Json(input): Json<RefundInput>,
) -> web::Result<(StatusCode, Json<Refund>)> {
    if !(1..=500).contains(&input.reason.trim().chars().count()) {
        return Err(Problem::invalid_field("/reason", "must have 1 to 500 characters"));
    }
    if input.amount_cents.is_some_and(|amount| amount < 1) {
        return Err(Problem::invalid_field("/amount_cents", "must be at least 1"));
    }
    let refund = admin.billing.refund(id, &input, key(&headers)?, &origin).await?;
    let is_open = refund.status == "requested";
    let status = if is_open { StatusCode::ACCEPTED } else { StatusCode::CREATED };
    Ok((status, Json(refund)))
}

fn key(headers: &HeaderMap) -> web::Result<&str> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    key.filter(|key| (1..=255).contains(&key.len())).ok_or_else(|| {
        let detail = "money is given back only with an Idempotency-Key";
        Problem::bad_request("idempotency_key_required", detail)
            .action("Send 1 to 255 printable characters, such as a random UUID, and the same when repeating.")
    })
}

/// List what was given back of a payment, by operators and in Stripe's dashboard.
#[utoipa::path(get, path = "/admin/v1/billing/payments/{id}/refunds", tag = "operators",
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Vec<Refund>)))]
async fn list_refunds(
    State(admin): State<Admin>,
    Path(id): Path<Id<Payment>>,
) -> web::Result<Json<Vec<Refund>>> {
    Ok(Json(Refund::of(admin.db.pool(), id).await?))
}
