use axum::{
    extract::State,
    http::{HeaderName, header},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Json, Routes};

use crate::{Auth, secrets::keys::Jwk};

pub(crate) fn routes() -> Routes<Auth> {
    Routes::new().route(Access::public(), routes!(show_signing_keys))
}

/// The keys that access tokens are signed with (RFC 7517).
#[derive(Serialize, ToSchema)]
struct SigningKeys {
    keys: Vec<Jwk>,
}

/// The public keys that access tokens can be verified with.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "identity",
    responses((status = 200, body = SigningKeys)))]
async fn show_signing_keys(
    State(auth): State<Auth>,
) -> ([(HeaderName, &'static str); 1], Json<SigningKeys>) {
    let keys = auth.access_tokens.keys().all().iter().map(|key| key.public.clone()).collect();
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(SigningKeys { keys }))
}
