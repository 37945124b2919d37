use std::{fmt::Write, sync::Arc};

use axum::{
    extract::{Query, State},
    http::{HeaderMap, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    CLIENT_ID, Person,
    error::refuse,
    state::{Grant, Provider},
};

/// What a client sends a browser with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Request {
    client_id: String,
    redirect_uri: String,
    state: Option<String>,
    nonce: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    /// From our own page: who wants to sign in.
    email: Option<String>,
}

/// Signs somebody in at once, or asks a person who looks at it for an address; says who it is (RFC 9207).
pub(super) async fn authorize(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Query(request): Query<Request>,
) -> Response {
    let issuer = provider.issuer();
    sign_in(&provider, &headers, request, Some(&issuer))
}

/// The same as GitHub does it, which does not say who it is.
pub(super) async fn authorize_at_github(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Query(request): Query<Request>,
) -> Response {
    sign_in(&provider, &headers, request, None)
}

fn sign_in(
    provider: &Provider,
    headers: &HeaderMap,
    request: Request,
    issuer: Option<&str>,
) -> Response {
    if request.client_id != CLIENT_ID {
        return refuse("unauthorized_client", "nobody registered this client");
    }
    if request.code_challenge_method.as_deref().is_some_and(|method| method != "S256") {
        return refuse("invalid_request", "only S256 is safe");
    }
    let Ok(mut back) = Url::parse(&request.redirect_uri) else {
        return refuse("invalid_request", "redirect_uri is no address");
    };
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let is_person = accepted.is_some_and(|kinds| kinds.contains("text/html"));
    let person = match &request.email {
        Some(email) => of(email),
        None if is_person => return Html(page(&request)).into_response(),
        None => provider.person(),
    };
    let code = provider.issue_code(Grant {
        client_id: request.client_id,
        redirect_uri: request.redirect_uri,
        nonce: request.nonce,
        code_challenge: request.code_challenge,
        person,
    });
    let mut query = back.query_pairs_mut();
    query.append_pair("code", &code);
    if let Some(issuer) = issuer {
        query.append_pair("iss", issuer);
    }
    if let Some(state) = &request.state {
        query.append_pair("state", state);
    }
    drop(query);
    Redirect::to(back.as_str()).into_response()
}

/// Everybody has an account here.
fn of(email: &str) -> Person {
    Person {
        subject: format!("simulated-{email}"),
        email: email.to_owned(),
        email_verified: true,
        name: email.split('@').next().unwrap_or("Somebody").to_owned(),
    }
}

fn page(request: &Request) -> String {
    let mut fields = String::new();
    let Ok(serde_json::Value::Object(given)) = serde_json::to_value(request) else {
        return fields;
    };
    for (name, value) in given {
        if let Some(value) = value.as_str() {
            let value = value.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
            let _ = write!(fields, "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
        }
    }
    format!(
        "<!doctype html><meta charset=\"utf-8\"><title>Identity simulator</title>\
         <body style=\"font: 16px system-ui; max-width: 400px; margin: 10vh auto\">\
         <h1>Identity simulator</h1><p>Whose account do you sign in with?</p><form>{fields}\
         <input name=\"email\" type=\"email\" value=\"grace@example.com\" required autofocus> \
         <button>Sign in</button></form>"
    )
}
