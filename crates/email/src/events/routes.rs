use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
};
use http::{HeaderMap, StatusCode};
use utoipa_axum::routes;
use web::{Access, Problem, RateClass, Routes};

use super::event::Event;
use crate::Mailer;

pub(crate) fn routes() -> Routes<Mailer> {
    let access = Access::public().limited_as(RateClass::Unlimited);
    Routes::new().route(access, routes!(receive_resend_event))
}

/// Receives what Resend tells about mails. Each message counts once, in whatever order they come.
#[utoipa::path(
    post,
    path = "/v1/webhooks/resend",
    tag = "email",
    params(
        ("svix-id" = String, Header, description = "Names the message; the same when sent again"),
        ("svix-timestamp" = String, Header, description = "When it was sent, in seconds since 1970"),
        ("svix-signature" = String, Header, description = "`v1,…` over id, timestamp and raw body"),
    ),
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses((status = 204, description = "Applied, now or earlier"))
)]
async fn receive_resend_event(
    State(mailer): State<Mailer>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> web::Result<StatusCode> {
    // What is not 2xx is sent again, so nothing is lost while the secret is not set.
    let secret = Option::as_ref(&mailer.events_secret).ok_or_else(|| {
        let detail = "RESEND_WEBHOOK_SECRET is not set";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_configured", detail)
    })?;
    let body = body.map_err(|rejection| {
        Problem::new(rejection.status(), "unreadable_body", "the body is too large or was cut")
    })?;
    let now = mailer.clock.now();
    let Some(message) = secret.verify(&headers, &body, now) else {
        tracing::warn!("a message for Resend's webhook was refused: its signature is not valid");
        return Err(Problem::bad_request("invalid_signature", "the signature is not valid"));
    };
    let event: Event = serde_json::from_slice(&body)
        .map_err(|_| Problem::bad_request("not_an_event", "it lacks type, time or data"))?;
    let mut tx = mailer.db.begin().await?;
    event.apply(&mut tx, message.id, now).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
