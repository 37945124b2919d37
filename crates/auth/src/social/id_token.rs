use anyhow::{Context, anyhow, bail, ensure};
use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use serde::Deserialize;

use super::claims::Claims;

/// Only keys that the provider publishes can sign: no secret that we share with it, and not nothing.
const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];
const LONGEST: usize = 16 * 1024;
const CLOCK_SKEW_SECONDS: i64 = 60;

/// Whose and for whom an identity token must be.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
}

#[derive(Deserialize)]
struct Said {
    sub: String,
    aud: OneOrMany,
    azp: Option<String>,
    exp: i64,
    iat: i64,
    nonce: Option<String>,
    email: Option<String>,
    email_verified: Option<Truth>,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(#[expect(dead_code, reason = "the library compares it")] String),
    Many(Vec<String>),
}

/// Some providers put it into quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Truth {
    Plain(bool),
    Quoted(String),
}

/// The name of the key that an identity token says it is signed with.
pub(super) fn key_id(token: &str) -> anyhow::Result<Option<String>> {
    ensure!(token.len() <= LONGEST, "the identity token is too long");
    let header = jsonwebtoken::decode_header(token).context("the identity token has no header")?;
    ensure!(ALGORITHMS.contains(&header.alg), "the identity token is signed with {:?}", header.alg);
    Ok(header.kid)
}

/// What an identity token says, if it is for us, for this sign-in, from them, and of now (OpenID
/// Connect Core 1.0, 3.1.3.7).
pub(super) fn verify(
    token: &str,
    keys: &JwkSet,
    expected: &Expected<'_>,
    now: DateTime<Utc>,
) -> anyhow::Result<Claims> {
    let kid = key_id(token)?;
    let header = jsonwebtoken::decode_header(token)?;
    let key = match (&kid, keys.keys.as_slice()) {
        (Some(kid), _) => keys.find(kid).ok_or_else(|| anyhow!("nobody published its key"))?,
        (None, [only]) => only,
        (None, _) => bail!("it does not say which key signed it"),
    };
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&[expected.client_id]);
    validation.set_issuer(&[expected.issuer]);
    validation.set_required_spec_claims(&["aud", "exp", "iss", "sub"]);
    // Times are judged by our clock, below; the library asks the machine's.
    validation.validate_exp = false;
    let key = DecodingKey::from_jwk(key).context("its key is not understood")?;
    let said = jsonwebtoken::decode::<Said>(token, &key, &validation)?.claims;
    check(&said, expected, now)?;
    let verified = match said.email_verified {
        Some(Truth::Plain(verified)) => verified,
        Some(Truth::Quoted(text)) => text == "true",
        None => false,
    };
    let email = said.email.filter(|_| verified).and_then(|email| email.parse().ok());
    Ok(Claims { subject: said.sub, verified_email: email, name: said.name })
}

fn check(said: &Said, expected: &Expected<'_>, now: DateTime<Utc>) -> anyhow::Result<()> {
    let now = now.timestamp();
    ensure!(now < said.exp + CLOCK_SKEW_SECONDS, "it has expired");
    ensure!(said.iat <= now + CLOCK_SKEW_SECONDS, "it comes from the future");
    ensure!(said.nonce.as_deref() == Some(expected.nonce), "it is for another sign-in");
    ensure!((1..=255).contains(&said.sub.len()), "it is about nobody");
    let many = matches!(&said.aud, OneOrMany::Many(all) if all.len() > 1);
    let party = said.azp.as_deref();
    let ours = party == Some(expected.client_id) || (party.is_none() && !many);
    ensure!(ours, "another client asked for it");
    Ok(())
}
