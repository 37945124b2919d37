use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use futures::stream;
use serde_json::json;

use super::{Fault, error::trouble, state::Provider};

/// OpenID Connect Discovery 1.0.
pub(super) async fn configuration(State(provider): State<Arc<Provider>>) -> Response {
    let issuer = provider.issuer();
    let named = match provider.fault().await {
        Some(Fault::MixedUp) => "https://login.example.com".to_owned(),
        Some(Fault::Status { status }) => return trouble(status),
        _ => issuer.clone(),
    };
    Json(json!({
        "issuer": named,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    }))
    .into_response()
}

pub(super) async fn keys(State(provider): State<Arc<Provider>>) -> Response {
    match provider.fault().await {
        Some(Fault::EndlessKeys) => {
            let chunk = || Ok::<_, std::io::Error>(" ".repeat(64 * 1024));
            Body::from_stream(stream::repeat_with(chunk)).into_response()
        }
        Some(Fault::Status { status }) => trouble(status),
        _ => Json(json!({ "keys": [provider.signer.public()] })).into_response(),
    }
}
