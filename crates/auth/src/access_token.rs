use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, Validation};
use kernel::{Id, Org, User};
use serde::{Deserialize, Serialize};
use web::Role;

use crate::{Keys, Session, lifetimes};

const AUDIENCE: &str = "slipway";
/// Ours are below 600 bytes; what is much longer is not worth decoding.
const LONGEST: usize = 2048;
/// What we sign in the next second, on a machine whose clock is ahead, is not a forgery.
const CLOCK_SKEW_SECONDS: i64 = 60;

/// Makes and reads access tokens (RFC 9068).
pub(crate) struct AccessTokens {
    keys: Keys,
    issuer: String,
    validation: Validation,
}

/// What an access token says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    pub(crate) sub: Id<User>,
    pub(crate) org: Id<Org>,
    pub(crate) role: Role,
    pub(crate) sid: Id<Session>,
    iat: i64,
    exp: i64,
}

impl AccessTokens {
    pub(crate) fn new(keys: Keys, issuer: &str) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[issuer]);
        // Times are judged by our clock, below; the library asks the machine's.
        validation.set_required_spec_claims(&["aud", "iss", "sub"]);
        validation.validate_exp = false;
        Self { keys, issuer: issuer.to_owned(), validation }
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn sign(
        &self,
        session: &Session,
        role: Role,
        now: DateTime<Utc>,
    ) -> anyhow::Result<String> {
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: session.user,
            org: session.org,
            role,
            sid: session.id,
            iat: now.timestamp(),
            exp: (now + lifetimes::ACCESS_TOKEN).timestamp(),
        };
        let key = self.keys.current();
        Ok(jsonwebtoken::encode(&key.header, &claims, &key.signing)?)
    }

    /// What `token` says, if we said it and it still holds.
    pub(crate) fn verify(&self, token: &str, now: DateTime<Utc>) -> Option<Claims> {
        if token.len() > LONGEST {
            return None;
        }
        // The header is exactly what we write, or the token is not ours: so there is no algorithm,
        // key or extension for a forger to choose.
        let header = jsonwebtoken::decode_header(token).ok()?;
        let key = self.keys.all().iter().find(|key| key.header == header)?;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.verifying, &self.validation);
        let claims = claims.ok()?.claims;
        let now = now.timestamp();
        (claims.iat <= now + CLOCK_SKEW_SECONDS && now < claims.exp).then_some(claims)
    }
}
