use std::sync::Arc;

use axum::{
    Form, Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    CLIENT_ID, CLIENT_SECRET, Fault,
    error::{refuse, trouble},
    signing::unsigned,
    state::{Grant, Provider},
};

/// What a client exchanges a code with.
#[derive(Debug, Deserialize)]
pub(super) struct Exchange {
    code: String,
    redirect_uri: String,
    client_id: Option<String>,
    client_secret: Option<String>,
    code_verifier: Option<String>,
}

/// Exchanges a code, once, for tokens.
pub(super) async fn exchange(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Form(exchange): Form<Exchange>,
) -> Response {
    let fault = provider.fault().await;
    let Some(grant) = provider.redeem(&exchange.code) else {
        return refuse("invalid_grant", "the code is unknown or was used");
    };
    if !is_client(&exchange, &headers) {
        return refuse("invalid_client", "that is not the client's secret");
    }
    if grant.redirect_uri != exchange.redirect_uri || !proves(&grant, &exchange) {
        return refuse("invalid_grant", "the code is somebody else's");
    }
    match fault {
        Some(Fault::Status { status }) => return trouble(status),
        Some(Fault::Garbage) => return "<html>not quite</html>".into_response(),
        Some(Fault::RefusalInSuccess) => {
            return Json(json!({ "error": "bad_verification_code" })).into_response();
        }
        _ => {}
    }
    let access_token = provider.issue_token(grant.person.clone());
    let mut answer =
        json!({ "access_token": access_token, "token_type": "bearer", "expires_in": 3600 });
    if fault != Some(Fault::NoIdToken) {
        answer["id_token"] = id_token(&provider, &grant, fault).into();
    }
    Json(answer).into_response()
}

fn is_client(exchange: &Exchange, headers: &HeaderMap) -> bool {
    let basic = || {
        let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
        String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok()
    };
    let posted =
        || Some(format!("{}:{}", exchange.client_id.as_ref()?, exchange.client_secret.as_ref()?));
    posted().or_else(basic).is_some_and(|given| given == format!("{CLIENT_ID}:{CLIENT_SECRET}"))
}

/// PKCE (RFC 7636).
fn proves(grant: &Grant, exchange: &Exchange) -> bool {
    let Some(challenge) = &grant.code_challenge else { return true };
    let verifier = exchange.code_verifier.as_deref().unwrap_or_default();
    *challenge == BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

fn id_token(provider: &Provider, grant: &Grant, fault: Option<Fault>) -> String {
    let claims = claims(provider, grant, fault);
    match fault {
        Some(Fault::AlgNone) => {
            format!("{}.", unsigned(&json!({ "alg": "none", "typ": "JWT" }), &claims))
        }
        Some(Fault::Hs256) => {
            let text = unsigned(&json!({ "alg": "HS256", "typ": "JWT" }), &claims);
            let mac = Hmac::<Sha256>::new_from_slice(CLIENT_SECRET.as_bytes());
            let mut mac = mac.expect("HMAC takes keys of any length");
            mac.update(text.as_bytes());
            let signature = BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
            format!("{text}.{signature}")
        }
        Some(Fault::ForeignKey) => provider.signer.sign_as_a_stranger(&claims),
        _ => provider.signer.sign(&claims),
    }
}

fn claims(provider: &Provider, grant: &Grant, fault: Option<Fault>) -> Value {
    let (now, person) = (provider.now(), &grant.person);
    let mut claims = json!({
        "iss": provider.issuer(), "sub": person.subject, "aud": grant.client_id,
        "iat": now, "exp": now + 3600, "nonce": grant.nonce,
        "email": person.email, "email_verified": person.email_verified, "name": person.name,
    });
    match fault {
        Some(Fault::WrongNonce) => claims["nonce"] = "another".into(),
        Some(Fault::NoNonce) => {
            claims["nonce"].take();
        }
        Some(Fault::WrongAudience) => claims["aud"] = "another".into(),
        Some(Fault::OtherParty) => {
            claims["aud"] = json!([grant.client_id, "another"]);
            claims["azp"] = "another".into();
        }
        Some(Fault::WrongIssuer) => claims["iss"] = "https://login.example.com".into(),
        Some(Fault::Expired) => claims["exp"] = (now - 3600).into(),
        Some(Fault::NoExpiry) => {
            claims["exp"].take();
        }
        Some(Fault::EmptySubject) => claims["sub"] = "".into(),
        Some(Fault::OtherSubject) => claims["sub"] = "6666".into(),
        Some(Fault::UnverifiedEmail) => claims["email_verified"] = false.into(),
        Some(Fault::UnsaidEmail) => {
            claims["email_verified"].take();
        }
        Some(Fault::NoEmail) => {
            claims["email"].take();
        }
        _ => {}
    }
    claims
}
