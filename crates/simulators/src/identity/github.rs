use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Fault, Person, error::trouble, state::Provider};

/// `GET /user`: who the token belongs to.
pub(super) async fn user(State(provider): State<Arc<Provider>>, headers: HeaderMap) -> Response {
    let Some(person) = holder(&provider, &headers) else { return unauthorized() };
    let id = match provider.fault().await {
        Some(Fault::Status { status }) => return trouble(status),
        Some(Fault::Garbage) => return "<html>not quite</html>".into_response(),
        Some(Fault::ErrorInSuccess) => {
            return Json(json!({ "error": "something" })).into_response();
        }
        Some(Fault::EmptySubject) => Value::Null,
        Some(Fault::OtherSubject) => 6666.into(),
        _ => number_of(&person).into(),
    };
    Json(json!({ "id": id, "login": person.name, "name": person.name, "email": person.email }))
        .into_response()
}

/// `GET /user/emails`: their addresses, one of them the primary one.
pub(super) async fn emails(State(provider): State<Arc<Provider>>, headers: HeaderMap) -> Response {
    let Some(person) = holder(&provider, &headers) else { return unauthorized() };
    let verified = match provider.fault().await {
        Some(Fault::NoEmail) => return Json(json!([])).into_response(),
        Some(Fault::UnverifiedEmail) => false,
        _ => person.email_verified,
    };
    Json(json!([
        { "email": "old@example.com", "primary": false, "verified": true },
        { "email": person.email, "primary": true, "verified": verified },
    ]))
    .into_response()
}

/// Accounts have numbers there.
fn number_of(person: &Person) -> u32 {
    let hash = Sha256::digest(&person.subject);
    let hashed = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    person.subject.parse().unwrap_or(hashed)
}

fn holder(provider: &Provider, headers: &HeaderMap) -> Option<Person> {
    let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?.1;
    provider.holder(token)
}

fn unauthorized() -> Response {
    (StatusCode::UNAUTHORIZED, Json(json!({ "message": "Bad credentials" }))).into_response()
}
