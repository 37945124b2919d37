use audit::Origin;
use axum::extract::State;
use sqlx::PgConnection;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Permission, Routes};

use crate::{
    Billing, ChangeRefused, Error, Subscription,
    change::{ChangeInput, Preview},
    overage::OverageView,
    subscription_view::SubscriptionView,
};

pub(crate) fn routes(read: Permission, pay: Permission) -> Routes<Billing> {
    Routes::new()
        .route(Access::to(read), routes!(subscription))
        .route(Access::to(pay).resumable(), routes!(change_subscription))
        .route(Access::to(pay).resumable(), routes!(cancel_subscription))
        .route(Access::to(pay), routes!(preview_subscription))
}

/// What the org subscribed to.
#[utoipa::path(get, path = "/v1/billing/subscription", tag = "billing",
    responses((status = 200, body = SubscriptionView)))]
async fn subscription(
    State(billing): State<Billing>,
    caller: Caller,
) -> web::Result<Json<SubscriptionView>> {
    let mut tx = billing.db.tenant(caller.org).await?;
    let subscription = Subscription::of(&mut *tx, caller.org).await?;
    view(&billing, &mut tx, subscription.ok_or(Error::NotSubscribed)?).await
}

/// Change the subscription: another plan, interval or number of seats, overage, its end or its renewal.
///
/// What costs more begins now and is charged in proportion; if the charge fails nothing changes. What
/// costs less begins when the paid period ends, and is refused if more people belong to the org than
/// would have seats. `cancel_at_period_end: false` also takes back a change that has not begun.
#[utoipa::path(patch, path = "/v1/billing/subscription", tag = "billing", request_body = ChangeInput,
    responses((status = 200, body = SubscriptionView)))]
async fn change_subscription(
    State(billing): State<Billing>,
    caller: Caller,
    origin: Origin,
    Json(input): Json<ChangeInput>,
) -> web::Result<Json<SubscriptionView>> {
    if input.is_empty() {
        return Err(Error::from(ChangeRefused::Nothing).into());
    }
    let changed = billing.change(caller.org, Some(caller.user), &input, &origin).await?;
    let mut tx = billing.db.tenant(caller.org).await?;
    view(&billing, &mut tx, changed).await
}

/// Cancel the subscription at once; what is left of the period is not refunded. To let it end with the
/// period, change `cancel_at_period_end` instead.
#[utoipa::path(delete, path = "/v1/billing/subscription", tag = "billing",
    responses((status = 200, body = SubscriptionView)))]
async fn cancel_subscription(
    State(billing): State<Billing>,
    caller: Caller,
    origin: Origin,
) -> web::Result<Json<SubscriptionView>> {
    let cancelled = billing.cancel_now(caller.org, &origin).await?;
    let mut tx = billing.db.tenant(caller.org).await?;
    view(&billing, &mut tx, cancelled).await
}

/// Show what a change would cost, without making it.
#[utoipa::path(post, path = "/v1/billing/subscription/previews", tag = "billing",
    request_body = ChangeInput, responses((status = 200, body = Preview)))]
async fn preview_subscription(
    State(billing): State<Billing>,
    caller: Caller,
    Json(input): Json<ChangeInput>,
) -> web::Result<Json<Preview>> {
    Ok(Json(billing.preview(caller.org, &input).await?))
}

async fn view(
    billing: &Billing,
    db: &mut PgConnection,
    subscription: Subscription,
) -> web::Result<Json<SubscriptionView>> {
    let version = billing.catalogues.current().await?;
    let overage = OverageView::of(db, &version.catalogue, &subscription).await?;
    let now = billing.clock.now();
    Ok(Json(SubscriptionView::of(subscription, overage, billing.grace, now)))
}
