use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use sealing::{Sealer, derive};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::Config;

/// The keys derived from `AUTH_SECRET`, newest first. The first one signs, all are believed.
pub(crate) struct Keys {
    derived: Vec<Key>,
    /// Encrypts second factors.
    pub(crate) sealer: Sealer,
}

/// The keys derived from one secret.
pub(crate) struct Key {
    /// Signs access tokens.
    pub(crate) signing: EncodingKey,
    /// Verifies them.
    pub(crate) verifying: DecodingKey,
    /// The only header of access tokens that this key signs.
    pub(crate) header: Header,
    /// What others need to verify them.
    pub(crate) public: Jwk,
    /// Derives refresh tokens from their predecessors.
    pub(crate) rotation: [u8; 32],
    /// Hashes short codes that go out by mail.
    pub(crate) codes: [u8; 32],
    /// Derives what a sign-in at somebody else's site is recognised by when it comes back.
    pub(crate) social: [u8; 32],
}

/// A public key (RFC 8037).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Jwk {
    #[schema(example = "OKP")]
    kty: &'static str,
    #[schema(example = "Ed25519")]
    crv: &'static str,
    #[schema(example = "EdDSA")]
    alg: &'static str,
    #[schema(example = "sig")]
    r#use: &'static str,
    /// The key's thumbprint (RFC 7638).
    kid: String,
    /// The key.
    x: String,
}

impl Keys {
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let current = config.auth_secret.as_ref();
        let current = current.ok_or_else(|| anyhow::anyhow!("AUTH_SECRET is not set"))?;
        let secrets = [Some(current), config.auth_secret_previous.as_ref()];
        let secrets = secrets.into_iter().flatten();
        let sealer = Sealer::new(secrets.clone(), "slipway second factors")?;
        let derived = secrets.map(Key::derive).collect::<anyhow::Result<_>>()?;
        Ok(Self { derived, sealer })
    }

    pub(crate) fn current(&self) -> &Key {
        &self.derived[0]
    }

    pub(crate) fn all(&self) -> &[Key] {
        &self.derived
    }
}

impl Key {
    fn derive(from: &SecretString) -> anyhow::Result<Self> {
        let from = from.expose_secret().as_bytes();
        let seed = derive(from, "slipway access tokens");
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed)?;
        let public = pair.public_key().as_ref();
        let jwk = Jwk::new(public);
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(jwk.kid.clone());
        Ok(Self {
            signing: EncodingKey::from_ed_der(pair.to_pkcs8v1()?.as_ref()),
            verifying: DecodingKey::from_ed_der(public),
            header,
            public: jwk,
            rotation: derive(from, "slipway refresh tokens"),
            codes: derive(from, "slipway codes"),
            social: derive(from, "slipway social logins"),
        })
    }
}

impl Jwk {
    fn new(public_key: &[u8]) -> Self {
        let x = BASE64_URL_SAFE_NO_PAD.encode(public_key);
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let kid = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(canonical));
        Self { kty: "OKP", crv: "Ed25519", alg: "EdDSA", r#use: "sig", kid, x }
    }
}
