//! Secrets of our own making, such as those in links.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// What is stored of a secret that we made ourselves. These have far more than 112 random bits, so
/// a plain hash cannot be reversed, and looking one up by its hash takes no secret-dependent time.
pub fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// 256 random bits, as text that survives in a URL.
pub fn random() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}
