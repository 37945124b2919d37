use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// What is stored of a secret that we made ourselves. These have far more than 112 random bits, so
/// a plain hash cannot be reversed, and looking one up by its hash takes no secret-dependent time.
pub(crate) fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// 256 random bits, as text that survives in a URL.
pub(crate) fn random() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// 256 bits that only a holder of `key` can tell from random ones.
pub(crate) fn derive(key: &[u8], from: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(from.as_bytes());
    mac.finalize().into_bytes().into()
}
