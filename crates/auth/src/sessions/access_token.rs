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
    /// We write none; one that is there counts all the same (RFC 7519).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
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
            nbf: None,
        };
        let key = self.keys.current();
        Ok(jsonwebtoken::encode(&key.header, &claims, &key.signing)?)
    }

    /// What `token` says, if we said it and it still holds.
    pub(crate) fn verify(&self, token: &str, now: DateTime<Utc>) -> Option<Claims> {
        let now = now.timestamp();
        let claims = self.read(token)?;
        let begun = claims.iat.max(claims.nbf.unwrap_or(claims.iat));
        (begun <= now + CLOCK_SKEW_SECONDS && now < claims.exp).then_some(claims)
    }

    /// What `token` says, if we said it, however long ago.
    pub(crate) fn read(&self, token: &str) -> Option<Claims> {
        if token.len() > LONGEST {
            return None;
        }
        // The header is exactly what we write, or the token is not ours: so there is no algorithm,
        // key or extension for a forger to choose.
        let header = jsonwebtoken::decode_header(token).ok()?;
        let key = self.keys.all().iter().find(|key| key.header == header)?;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.verifying, &self.validation);
        Some(claims.ok()?.claims)
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use chrono::{DateTime, TimeDelta, Utc};
    use jsonwebtoken::{EncodingKey, Header};
    use kernel::Id;
    use serde_json::{Value, json};
    use web::Role;

    use super::AccessTokens;
    use crate::{Config, Keys, Session};

    const ISSUER: &str = "https://app.example.com";
    const NOW: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).unwrap();

    fn tokens(secret: &str, previous: Option<&str>) -> AccessTokens {
        let config = Config {
            auth_secret: Some(secret.into()),
            auth_secret_previous: previous.map(Into::into),
            ..Config::default()
        };
        AccessTokens::new(Keys::new(&config).unwrap(), ISSUER)
    }

    fn session() -> Session {
        Session {
            id: Id::new(),
            user: Id::new(),
            org: Id::new(),
            created_at: NOW,
            expires_at: NOW + chrono::TimeDelta::days(30),
            revoked_at: None,
        }
    }

    fn claims() -> Value {
        json!({
            "iss": ISSUER, "aud": "slipway", "sub": Id::<()>::new(), "org": Id::<()>::new(),
            "role": "owner", "sid": Id::<()>::new(),
            "iat": NOW.timestamp(), "exp": NOW.timestamp() + 900,
        })
    }

    /// Signed with the right key, whatever it says.
    fn signed(tokens: &AccessTokens, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &tokens.keys().current().signing).unwrap()
    }

    #[test]
    fn what_we_sign_is_believed_until_it_expires() {
        let (tokens, session) = (tokens("one", None), session());
        let token = tokens.sign(&session, Role::Admin, NOW).unwrap();
        let claims = tokens.verify(&token, NOW + TimeDelta::seconds(899)).unwrap();
        assert_eq!((claims.sub, claims.org, claims.sid), (session.user, session.org, session.id));
        assert!(tokens.verify(&token, NOW + TimeDelta::seconds(900)).is_none());
        assert!(tokens.verify(&token, NOW - TimeDelta::minutes(2)).is_none());
    }

    #[test]
    fn the_previous_secret_is_believed_while_it_is_configured() {
        let token = tokens("one", None).sign(&session(), Role::Owner, NOW).unwrap();
        assert!(tokens("two", Some("one")).verify(&token, NOW).is_some());
        assert!(tokens("two", None).verify(&token, NOW).is_none());
        assert!(tokens("one", None).verify(&token, NOW).is_some());
    }

    #[test]
    fn the_same_secret_gives_the_same_key_on_every_machine() {
        let kid = |tokens: &AccessTokens| tokens.keys().current().header.kid.clone();
        assert_eq!(kid(&tokens("one", None)), kid(&tokens("one", None)));
        assert_ne!(kid(&tokens("one", None)), kid(&tokens("two", None)));
    }

    #[test]
    fn a_header_that_is_not_exactly_ours_is_refused_even_with_our_signature() {
        let tokens = tokens("one", None);
        let ours = tokens.keys().current().header.clone();
        assert!(tokens.verify(&signed(&tokens, &ours, &claims()), NOW).is_some());
        let change = |change: fn(&mut Header)| {
            let mut header = ours.clone();
            change(&mut header);
            signed(&tokens, &header, &claims())
        };
        for token in [
            change(|header| header.typ = Some("JWT".into())),
            change(|header| header.typ = None),
            change(|header| header.kid = Some("../../dev/null".into())),
            change(|header| header.kid = None),
            change(|header| header.jku = Some("http://127.0.0.1/keys".into())),
            change(|header| header.x5u = Some("http://127.0.0.1/keys".into())),
            change(|header| header.crit = Some(vec!["exp".into()])),
            change(|header| header.extras.insert("b64", false)),
        ] {
            assert!(tokens.verify(&token, NOW).is_none(), "{token}");
        }
    }

    #[test]
    fn claims_that_are_not_for_us_are_refused_even_with_our_signature() {
        let tokens = tokens("one", None);
        let header = tokens.keys().current().header.clone();
        for (name, value) in [
            ("aud", json!("other")),
            ("aud", json!(null)),
            ("iss", json!("https://evil.example.com")),
            ("exp", json!(null)),
            ("exp", json!(NOW.timestamp())),
            ("exp", json!("never")),
            ("iat", json!(NOW.timestamp() + 3600)),
            ("nbf", json!(NOW.timestamp() + 3600)),
            ("sub", json!("root")),
            ("sid", json!(null)),
            ("role", json!("god")),
        ] {
            let mut claims = claims();
            claims[name] = value.clone();
            let token = signed(&tokens, &header, &claims);
            assert!(tokens.verify(&token, NOW).is_none(), "{name} = {value}");
        }
    }

    #[test]
    fn forged_signatures_are_refused() {
        let tokens = tokens("one", None);
        let token = tokens.sign(&session(), Role::Owner, NOW).unwrap();
        let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!()
        };
        let none = |alg: &str| {
            BASE64_URL_SAFE_NO_PAD.encode(json!({ "alg": alg, "typ": "at+jwt" }).to_string())
        };
        let public = tokens.keys().current().verifying.try_get_as_bytes().unwrap();
        let hmac = EncodingKey::from_secret(public);
        let mut header_hs256 = tokens.keys().current().header.clone();
        header_hs256.alg = jsonwebtoken::Algorithm::HS256;
        let hs256 = jsonwebtoken::encode(&header_hs256, &self::claims(), &hmac).unwrap();
        for forged in [
            format!("{header}.{claims}."),
            format!("{}.{claims}.", none("none")),
            format!("{}.{claims}.", none("NoNe")),
            format!("{header}.{claims}x.{signature}"),
            format!("{header}.{claims}.{signature}.{signature}"),
            format!("{header}.{claims}.{}", "A".repeat(86)),
            format!("{header}.{claims}.{}", "A".repeat(1_000_000)),
            hs256,
            "..".to_owned(),
            String::new(),
        ] {
            let start: String = forged.chars().take(200).collect();
            assert!(tokens.verify(&forged, NOW).is_none(), "{start}");
        }
    }
}
