use axum::{extract::State, http::StatusCode};
use kernel::Id;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Html, Json, Page, Path, Permission, Query, RateClass, Routes};

use crate::{
    Billing, Checkout, Error, Pack, Payment, Plan, account, coupons, payment::PaymentQuery,
    subscription_routes, webhook,
};

const READ: Permission = Permission::read("billing:read");
const WRITE: Permission = Permission::pay("billing:write");

pub(crate) fn routes() -> Routes<Billing> {
    Routes::new()
        .route(Access::public(), routes!(plans))
        .route(Access::public(), routes!(packs))
        .route(Access::public(), routes!(returned))
        .route(Access::public(), routes!(cancelled))
        .route(Access::public().limited_as(RateClass::Unlimited), routes!(webhook::receive))
        .route(Access::to(WRITE).resumable(), routes!(buy))
        .route(Access::to(READ), routes!(checkout))
        .route(Access::to(READ), routes!(payments))
        .merge(account::routes(WRITE))
        .merge(coupons::routes(WRITE))
        .merge(subscription_routes::routes(READ, WRITE))
}

/// The plans, the cheapest first.
#[utoipa::path(get, path = "/v1/plans", tag = "billing", responses((status = 200, body = Page<OfferedPlan>)))]
async fn plans(State(billing): State<Billing>) -> web::Result<Json<Page<OfferedPlan>>> {
    let version = billing.catalogues.current().await?;
    let currency = version.catalogue.currency();
    let sold = version.catalogue.plans().iter().filter(|plan| !plan.retired);
    let offered = |plan: &Plan| OfferedPlan { plan: plan.clone(), currency: currency.to_owned() };
    Ok(Json(Page { items: sold.map(offered).collect(), next_cursor: None }))
}

/// The packs of credits, the smallest first.
#[utoipa::path(get, path = "/v1/packs", tag = "billing", responses((status = 200, body = Page<OfferedPack>)))]
async fn packs(State(billing): State<Billing>) -> web::Result<Json<Page<OfferedPack>>> {
    let version = billing.catalogues.current().await?;
    let currency = version.catalogue.currency();
    let sold = version.catalogue.packs().iter().filter(|pack| !pack.retired);
    let offered = |pack: &Pack| OfferedPack { pack: pack.clone(), currency: currency.to_owned() };
    Ok(Json(Page { items: sold.map(offered).collect(), next_cursor: None }))
}

/// A plan and the currency of its prices.
#[derive(Serialize, ToSchema)]
struct OfferedPlan {
    #[serde(flatten)]
    plan: Plan,
    /// ISO 4217, in small letters.
    #[schema(example = "usd")]
    currency: String,
}

/// A pack and the currency of its price.
#[derive(Serialize, ToSchema)]
struct OfferedPack {
    #[serde(flatten)]
    pack: Pack,
    /// ISO 4217, in small letters.
    #[schema(example = "usd")]
    currency: String,
}

/// What to buy. The price is ours to say.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCheckoutSession {
    /// The id of a pack, or `plan-{id}-month` or `plan-{id}-year` for a plan.
    #[schema(example = "plan-pro-month", max_length = 100)]
    item: String,
    /// The code of a coupon that makes it cheaper. Stripe's promotion codes are entered on its page.
    #[schema(example = "SPRING27", max_length = 40)]
    coupon: Option<String>,
}

/// Starts a purchase and answers the page on which to pay. Asking again for the same while it is
/// open answers the same page.
#[utoipa::path(
    post,
    path = "/v1/billing/checkout-sessions",
    tag = "billing",
    request_body = NewCheckoutSession,
    responses((status = 201, body = Checkout))
)]
async fn buy(
    State(billing): State<Billing>,
    caller: Caller,
    Json(NewCheckoutSession { item, coupon }): Json<NewCheckoutSession>,
) -> web::Result<(StatusCode, Json<Checkout>)> {
    let checkout = billing.buy(caller.org, caller.user, &item, coupon.as_deref()).await?;
    Ok((StatusCode::CREATED, Json(checkout)))
}

/// How far a purchase is. `paid` means that what was bought is there.
#[utoipa::path(
    get,
    path = "/v1/billing/checkout-sessions/{id}",
    tag = "billing",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 200, body = Checkout))
)]
async fn checkout(
    State(billing): State<Billing>,
    caller: Caller,
    Path(id): Path<Id<Checkout>>,
) -> web::Result<Json<Checkout>> {
    let mut tx = billing.db.tenant(caller.org).await?;
    let checkout = Checkout::get(&mut *tx, caller.org, id).await?;
    Ok(Json(checkout.ok_or(Error::NoSuchCheckout)?))
}

/// What the org paid, the newest first: by status, item and time.
#[utoipa::path(
    get,
    path = "/v1/billing/payments",
    tag = "billing",
    params(PaymentQuery),
    responses((status = 200, body = Page<Payment>))
)]
async fn payments(
    State(billing): State<Billing>,
    caller: Caller,
    Query(query): Query<PaymentQuery>,
) -> web::Result<Json<Page<Payment>>> {
    let mut tx = billing.db.tenant(caller.org).await?;
    Ok(Json(Payment::list(&mut *tx, caller.org, &query).await?))
}

/// Where Stripe's payment page leads after a payment. It promises nothing and reads nothing: only
/// Stripe's event proves that somebody paid.
#[utoipa::path(
    get,
    path = "/billing/return",
    tag = "billing",
    responses((status = 200, content_type = "text/html", body = String))
)]
async fn returned() -> Html {
    Html(include_str!("pages/return.html").to_owned())
}

/// Where Stripe's payment page leads when people turn back.
#[utoipa::path(
    get,
    path = "/billing/cancelled",
    tag = "billing",
    responses((status = 200, content_type = "text/html", body = String))
)]
async fn cancelled() -> Html {
    Html(include_str!("pages/cancelled.html").to_owned())
}
