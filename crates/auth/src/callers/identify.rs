use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use tracing::{Span, field::display};
use web::{ClientIp, Identity, Problem};

use crate::{
    Auth, Session, api_keys::api_key, callers::standing::Proof, operators, secrets::secret,
};

/// Middleware, in front of limits and permissions: finds out who calls, and leaves it as an
/// [`Identity`] in the request's extensions.
pub async fn identify(State(auth): State<Arc<Auth>>, mut request: Request, next: Next) -> Response {
    let identity = auth.identity(request.headers(), request.extensions().get().copied()).await;
    if let Identity::Known(caller) = &identity {
        Span::current().record("org", display(caller.org)).record("user", display(caller.user));
    }
    request.extensions_mut().insert(identity);
    next.run(request).await
}

impl Auth {
    async fn identity(&self, headers: &HeaderMap, ip: Option<ClientIp>) -> Identity {
        let bearers = headers.get_all(header::AUTHORIZATION).iter().map(bearer);
        // As Anthropic's clients send it.
        let keys = headers.get_all("x-api-key").iter().map(|key| key.to_str().ok());
        let mut tokens = bearers.chain(keys);
        let Some(token) = tokens.next() else { return Identity::Anonymous };
        let (Some(token), None) = (token, tokens.next()) else {
            return Identity::Refused(invalid_token());
        };
        if operators::is_well_formed(token) {
            return self.operator(token, ip).await;
        }
        let Some(proof) = self.proof(token) else { return Identity::Refused(invalid_token()) };
        // Of sessions only those get here whose token we signed.
        if let Proof::Key(hash) = &proof
            && let Err(problem) = self.held_tokens.may_be_looked_for(hash, ip).await
        {
            return Identity::Refused(problem);
        }
        match self.standings.of(proof).await {
            Ok(Some(standing)) => {
                if let Proof::Key(hash) = proof {
                    self.held_tokens.note(hash).await;
                }
                Identity::Known(standing.caller)
            }
            Ok(None) => Identity::Refused(invalid_token()),
            // Not knowing is no reason to send somebody to sign in again.
            Err(error) => Identity::Refused(Problem::unavailable(error)),
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

    /// Makes the end of sessions known at once, on this instance.
    pub(crate) fn forget(&self, sessions: impl IntoIterator<Item = kernel::Id<Session>>) {
        for session in sessions {
            self.db.changes().note(session);
        }
    }
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
