use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
};
use web::Problem;

use crate::{
    Billing, Error,
    event::{Arrived, NewEvent},
    signature,
};

/// Receives an event from Stripe. It is answered once it is stored; what follows from it is a job.
#[utoipa::path(
    post,
    path = "/v1/webhooks/stripe",
    tag = "billing",
    params(("Stripe-Signature" = String, Header, description = "`t=…,v1=…` over the raw body")),
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses((status = 200, description = "Stored, now or earlier"))
)]
pub(crate) async fn receive(
    State(billing): State<Billing>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> web::Result<StatusCode> {
    // Before anything else: what is not 2xx is sent again by Stripe, for days.
    let stripe = billing.stripe()?;
    let body = body.map_err(|rejection| {
        Problem::new(rejection.status(), "unreadable_body", "the body is too large or was cut")
    })?;
    let header = headers.get("stripe-signature").and_then(|header| header.to_str().ok());
    let now = billing.clock.now();
    if !signature::is_valid(header.unwrap_or_default(), &body, &stripe.webhook_secret, now) {
        tracing::warn!("an event for Stripe's webhook was refused: its signature is not valid");
        return Err(Error::NotAnEvent("its signature is not valid").into());
    }
    let body = str::from_utf8(&body).map_err(|_| Error::NotAnEvent("it is not UTF-8"))?;
    let event: NewEvent =
        serde_json::from_str(body).map_err(|_| Error::NotAnEvent("it lacks id, type or mode"))?;
    if !event.is_for(stripe.live) {
        tracing::warn!(live = stripe.live, "an event of the other mode or account was ignored");
    }
    billing.intake.store(Arrived { event, body: body.to_owned(), at: now }).await?;
    Ok(StatusCode::OK)
}
