use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::Response,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use tracing::{Span, field::display};
use web::{ACCESS_COOKIE, Access, ClientIp, Identity, Operator, Problem, RecentSignIn, cookie};

use crate::{
    Auth,
    api_keys::api_key,
    callers::standing::{Proof, Standing},
    operators,
    orgs::{not_a_member, requested_org},
    secrets::secret,
    sessions::transport::mixed_credentials,
};

/// Middleware, in front of limits and permissions: finds out who calls, and leaves it as an
/// [`Identity`] in the request's extensions.
pub async fn identify(State(auth): State<Arc<Auth>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Found { identity, recent } = auth.found(&parts).await;
    if let Identity::Known(caller) = &identity {
        Span::current().record("org", display(caller.org)).record("user", display(caller.user));
    }
    parts.extensions.insert(identity);
    if let Some(recent) = recent {
        parts.extensions.insert(recent);
    }
    next.run(Request::from_parts(parts, body)).await
}

/// Who calls, and whether they have proved it just now.
struct Found {
    identity: Identity,
    recent: Option<RecentSignIn>,
}

impl From<Identity> for Found {
    fn from(identity: Identity) -> Self {
        Self { identity, recent: None }
    }
}

impl From<Problem> for Found {
    fn from(problem: Problem) -> Self {
        Identity::Refused(problem).into()
    }
}

impl Auth {
    async fn found(&self, request: &Parts) -> Found {
        let headers = &request.headers;
        if let Some(token) = page_token(request) {
            return self.operator(&token, request.extensions.get().copied()).await;
        }
        let bearers = headers.get_all(header::AUTHORIZATION).iter().map(bearer);
        // As Anthropic's clients send it.
        let keys = headers.get_all("x-api-key").iter().map(|key| key.to_str().ok());
        let mut tokens = bearers.chain(keys);
        match (tokens.next(), cookie(headers, ACCESS_COOKIE)) {
            (None, None) => Identity::Anonymous.into(),
            (None, Some(token)) => self.holder(token, request, Scope::Browser).await,
            (Some(_), Some(_)) => mixed_credentials().into(),
            (Some(token), None) => match (token, tokens.next()) {
                (Some(token), None) => self.holder(token, request, Scope::Program).await,
                _ => invalid_token().into(),
            },
        }
    }

    async fn holder(&self, token: &str, request: &Parts, scope: Scope) -> Found {
        let ip = request.extensions.get().copied();
        let access = request.extensions.get().copied();
        if scope == Scope::Program && operators::is_well_formed(token) {
            return self.operator(token, ip).await;
        }
        if scope == Scope::Program && operators::is_impersonation(token) {
            return self.impersonator(token, request).await.into();
        }
        let org = match requested_org(&request.headers) {
            Ok(org) => org,
            Err(problem) => return problem.into(),
        };
        let proof = self.proof(token, org);
        let proof =
            proof.filter(|it| scope == Scope::Program || matches!(it, Proof::Session { .. }));
        let Some(proof) = proof else { return invalid_token().into() };
        match self.customer(proof, org, ip, access).await {
            Ok(Standing { caller, authenticated_at, .. }) => {
                let recent = authenticated_at.map(|proved| self.recent(proved));
                Found { identity: Identity::Known(caller), recent }
            }
            Err(problem) => problem.into(),
        }
    }

    /// Whoever `proof` belongs to, in `org` if the request names one.
    async fn customer(
        &self,
        proof: Proof,
        org: Option<Id<Org>>,
        ip: Option<ClientIp>,
        access: Option<Access>,
    ) -> web::Result<Standing> {
        // Of sessions only those get here whose token we signed.
        if let Proof::Key(hash) = &proof {
            self.held_tokens.may_be_looked_for(hash, ip).await?;
        }
        // Not knowing is no reason to send somebody to sign in again.
        let standing = self.standings.of(proof).await.map_err(Problem::unavailable)?;
        let Some(standing) = standing else {
            return Err(self.explain(proof).await);
        };
        if let Proof::Key(hash) = proof {
            self.held_tokens.note(hash).await;
        }
        if org.is_some_and(|org| org != standing.caller.org) {
            return Err(not_a_member());
        }
        let person = matches!(proof, Proof::Session { .. });
        let of_their_own = person && access.is_some_and(|access| access.in_suspended_org);
        if standing.suspended && !of_their_own { Err(org_suspended()) } else { Ok(standing) }
    }

    /// Why a proof is worth nothing: itself, or because of the org that the request names.
    async fn explain(&self, proof: Proof) -> Problem {
        let Proof::Session { id, org: Some(_) } = proof else { return invalid_token() };
        match self.standings.of(Proof::Session { id, org: None }).await {
            Ok(Some(_)) => not_a_member(),
            Ok(None) => invalid_token(),
            Err(error) => Problem::unavailable(error),
        }
    }

    /// One of the people who run the product, standing in for a customer. Each request is written
    /// down before anything is done.
    async fn impersonator(&self, token: &str, request: &Parts) -> Identity {
        let found = self.impersonated(token, request).await;
        found.map_or_else(Identity::Refused, Identity::Known)
    }

    async fn operator(&self, token: &str, ip: Option<ClientIp>) -> Found {
        let hash = secret::hash(token);
        if let Err(problem) = self.held_tokens.may_be_looked_for(&hash, ip).await {
            return problem.into();
        }
        match operators::find(self.db.pool(), &hash, self.clock.now()).await {
            Ok(Some(held)) => {
                self.held_tokens.note(hash).await;
                let operator = Operator { id: held.operator, session: held.session };
                let recent = Some(self.recent(held.began_at));
                Found { identity: Identity::Operator(operator), recent }
            }
            Ok(None) => invalid_token().into(),
            Err(error) => Problem::unavailable(error).into(),
        }
    }

    fn recent(&self, proved: DateTime<Utc>) -> RecentSignIn {
        RecentSignIn(proved > self.clock.now() - self.config.sessions.recent())
    }

    /// What `token` proves, before the database is asked.
    fn proof(&self, token: &str, org: Option<Id<Org>>) -> Option<Proof> {
        if token.matches('.').count() == 2 {
            let claims = self.access_tokens.verify(token, self.clock.now())?;
            return Some(Proof::Session { id: claims.sid, org });
        }
        api_key::is_well_formed(token).then(|| Proof::Key(secret::hash(token)))
    }
}

/// Where a token was sent: cookies are sessions of people, and nothing else.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Browser,
    Program,
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// An operator's token that a browser sends as the password when it shows a page. Browsers do so by themselves, so it is
/// worth nothing for what changes something.
fn page_token(request: &Parts) -> Option<String> {
    let value = request.headers.get(header::AUTHORIZATION).filter(|_| request.method.is_safe());
    let (scheme, encoded) = value?.to_str().ok()?.split_once(' ')?;
    let encoded = scheme.eq_ignore_ascii_case("basic").then_some(encoded.trim());
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded?).ok()?).ok()?;
    let (_, token) = decoded.split_once(':')?;
    operators::is_well_formed(token).then(|| token.to_owned())
}

pub(crate) fn org_suspended() -> Problem {
    let detail = "the organization is suspended";
    Problem::new(StatusCode::FORBIDDEN, "organization_suspended", detail)
        .action("Write to support, or name another of your organizations in X-Slipway-Org.")
}

pub(crate) fn invalid_token() -> Problem {
    let detail = "the access token or API key does not hold, or no longer";
    let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
    Problem::new(StatusCode::UNAUTHORIZED, "invalid_token", detail)
        .header(header::WWW_AUTHENTICATE, challenge)
        .action("Refresh the access token, sign in again, or use another API key.")
}
