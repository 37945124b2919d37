use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use tracing::{Span, field::display};
use web::{ACCESS_COOKIE, ClientIp, Identity, Problem, RecentSignIn, cookie};

use crate::{
    Auth, api_keys::api_key, callers::standing::Proof, operators, secrets::secret,
    sessions::transport::mixed_credentials,
};

/// Middleware, in front of limits and permissions: finds out who calls, and leaves it as an
/// [`Identity`] in the request's extensions.
pub async fn identify(State(auth): State<Arc<Auth>>, mut request: Request, next: Next) -> Response {
    let ip = request.extensions().get().copied();
    let Found { identity, recent } = auth.found(request.headers(), ip).await;
    if let Identity::Known(caller) = &identity {
        Span::current().record("org", display(caller.org)).record("user", display(caller.user));
    }
    request.extensions_mut().insert(identity);
    if let Some(recent) = recent {
        request.extensions_mut().insert(recent);
    }
    next.run(request).await
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

impl Auth {
    async fn found(&self, headers: &HeaderMap, ip: Option<ClientIp>) -> Found {
        let bearers = headers.get_all(header::AUTHORIZATION).iter().map(bearer);
        // As Anthropic's clients send it.
        let keys = headers.get_all("x-api-key").iter().map(|key| key.to_str().ok());
        let mut tokens = bearers.chain(keys);
        match (tokens.next(), cookie(headers, ACCESS_COOKIE)) {
            (None, None) => Identity::Anonymous.into(),
            (None, Some(token)) => self.holder(token, ip, Scope::Browser).await,
            (Some(_), Some(_)) => Identity::Refused(mixed_credentials()).into(),
            (Some(token), None) => match (token, tokens.next()) {
                (Some(token), None) => self.holder(token, ip, Scope::Program).await,
                _ => Identity::Refused(invalid_token()).into(),
            },
        }
    }

    async fn holder(&self, token: &str, ip: Option<ClientIp>, scope: Scope) -> Found {
        if scope == Scope::Program && operators::is_well_formed(token) {
            return self.operator(token, ip).await.into();
        }
        let proof = self.proof(token);
        let sessions_only = scope == Scope::Browser;
        let proof = proof.filter(|it| !sessions_only || matches!(it, Proof::Session(_)));
        let Some(proof) = proof else { return Identity::Refused(invalid_token()).into() };
        // Of sessions only those get here whose token we signed.
        if let Proof::Key(hash) = &proof
            && let Err(problem) = self.held_tokens.may_be_looked_for(hash, ip).await
        {
            return Identity::Refused(problem).into();
        }
        match self.standings.of(proof).await {
            Ok(Some(standing)) => {
                if let Proof::Key(hash) = proof {
                    self.held_tokens.note(hash).await;
                }
                let proved = standing.authenticated_at;
                let since = self.clock.now() - self.config.sessions.recent();
                let recent = proved.map(|proved| RecentSignIn(proved > since));
                Found { identity: Identity::Known(standing.caller), recent }
            }
            Ok(None) => Identity::Refused(invalid_token()).into(),
            // Not knowing is no reason to send somebody to sign in again.
            Err(error) => Identity::Refused(Problem::unavailable(error)).into(),
        }
    }

    async fn operator(&self, token: &str, ip: Option<ClientIp>) -> Identity {
        let hash = secret::hash(token);
        if let Err(problem) = self.held_tokens.may_be_looked_for(&hash, ip).await {
            return Identity::Refused(problem);
        }
        match operators::find(self.db.pool(), &hash, self.clock.now()).await {
            Ok(Some(operator)) => {
                self.held_tokens.note(hash).await;
                Identity::Operator(operator)
            }
            Ok(None) => Identity::Refused(invalid_token()),
            Err(error) => Identity::Refused(Problem::unavailable(error)),
        }
    }

    /// What `token` proves, before the database is asked.
    fn proof(&self, token: &str) -> Option<Proof> {
        if token.matches('.').count() == 2 {
            let claims = self.access_tokens.verify(token, self.clock.now())?;
            return Some(Proof::Session(claims.sid));
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

fn invalid_token() -> Problem {
    let detail = "the access token or API key does not hold, or no longer";
    let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
    Problem::new(StatusCode::UNAUTHORIZED, "invalid_token", detail)
        .header(header::WWW_AUTHENTICATE, challenge)
        .action("Refresh the access token, sign in again, or use another API key.")
}
