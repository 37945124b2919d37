use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const KEY_ID: &str = "simulator-1";

/// Signs identity tokens (RFC 7515), with ES256.
#[derive(Debug)]
pub(super) struct Signer {
    key: EcdsaKeyPair,
    foreign: EcdsaKeyPair,
}

impl Signer {
    pub(super) fn generate() -> Self {
        let new = || {
            EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .expect("the machine has chance")
        };
        Self { key: new(), foreign: new() }
    }

    /// The key as others need it (RFC 7517).
    pub(super) fn public(&self) -> Value {
        // An uncompressed point: 4, then both coordinates.
        let point = self.key.public_key().as_ref();
        let [x, y] =
            [&point[1..33], &point[33..65]].map(|half| BASE64_URL_SAFE_NO_PAD.encode(half));
        json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID, "x": x, "y": y,
        })
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        Self::signed(&self.key, claims)
    }

    /// With a key that nobody knows, under the name of the known one.
    pub(super) fn sign_as_a_stranger(&self, claims: &Value) -> String {
        Self::signed(&self.foreign, claims)
    }

    fn signed(key: &EcdsaKeyPair, claims: &Value) -> String {
        let text = unsigned(&json!({ "alg": "ES256", "typ": "JWT", "kid": KEY_ID }), claims);
        let signature = key.sign(&SystemRandom::new(), text.as_bytes()).expect("a key that signs");
        format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Header and claims, which are what is signed.
pub(super) fn unsigned(header: &Value, claims: &Value) -> String {
    let [header, claims] =
        [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
    format!("{header}.{claims}")
}
