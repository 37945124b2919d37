//! Secrets that we must be able to read again: encrypted with keys derived from `AUTH_SECRET`, which the
//! database does not have. Streams of any length too, such as backups.

mod resealed;
mod stream;

use anyhow::anyhow;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

pub use resealed::Resealed;
pub use stream::{OpenStream, SealStream, StreamError};

/// Seals with the newest secret and opens with all.
#[derive(Clone)]
pub struct Sealer(Vec<[u8; 32]>);

/// Whether a secret is too short, or long but not random.
pub fn is_weak(secret: &str) -> bool {
    let mut bytes = secret.as_bytes().to_vec();
    bytes.sort_unstable();
    bytes.dedup();
    secret.len() < 32 || bytes.len() < 10
}

/// 256 bits that only a holder of `key` can tell from random ones.
pub fn derive(key: &[u8], from: &str) -> [u8; 32] {
    hmac(key, &[from.as_bytes()])
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

impl Sealer {
    /// Keys from `secrets`, the newest first, for one `purpose`: what was sealed for another does not open.
    pub fn new<'a>(
        secrets: impl IntoIterator<Item = &'a SecretString>,
        purpose: &str,
    ) -> anyhow::Result<Self> {
        let derive = |secret: &SecretString| derive(secret.expose_secret().as_bytes(), purpose);
        let keys: Vec<_> = secrets.into_iter().map(derive).collect();
        anyhow::ensure!(!keys.is_empty(), "AUTH_SECRET is not set");
        Ok(Self(keys))
    }

    /// Encrypts what we must be able to read again, bound to `owner`: moved to another row, it does not
    /// open. Answers nonce, ciphertext and tag.
    pub fn seal(&self, owner: &[u8], secret: &[u8]) -> anyhow::Result<Vec<u8>> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &self.0[0])?;
        let mut text = secret.to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(owner), &mut text)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.extend(text);
        Ok(sealed)
    }

    /// What [`Self::seal`] encrypted, with the current or an earlier secret.
    pub fn open(&self, owner: &[u8], sealed: &[u8]) -> anyhow::Result<Vec<u8>> {
        let opened = self.0.iter().find_map(|key| open_with(key, owner, sealed));
        opened.ok_or_else(|| anyhow!("sealed with an AUTH_SECRET that is no longer configured"))
    }

    /// Whether it was encrypted with the current one.
    pub fn is_current(&self, owner: &[u8], sealed: &[u8]) -> bool {
        open_with(&self.0[0], owner, sealed).is_some()
    }
}

fn open_with(key: &[u8; 32], owner: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
    let key = RandomizedNonceKey::new(&AES_256_GCM, key).ok()?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = text.to_vec();
    Some(key.open_in_place(nonce, Aad::from(owner), &mut text).ok()?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::Sealer;

    fn sealer(secrets: &[&str], purpose: &str) -> Sealer {
        let secrets: Vec<_> = secrets.iter().map(|it| (*it).into()).collect();
        Sealer::new(&secrets, purpose).unwrap()
    }

    #[test]
    fn a_sealed_secret_opens_for_its_owner_only_and_with_the_previous_key_too() {
        let sealed = sealer(&["one"], "p").seal(b"ada", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|bytes| bytes == b"secret"));
        assert_eq!(sealer(&["one"], "p").open(b"ada", &sealed).unwrap(), b"secret");
        assert_eq!(sealer(&["two", "one"], "p").open(b"ada", &sealed).unwrap(), b"secret");
        assert!(sealer(&["one"], "p").open(b"eve", &sealed).is_err());
        assert!(sealer(&["two"], "p").open(b"ada", &sealed).is_err());
        assert!(sealer(&["one"], "q").open(b"ada", &sealed).is_err());
        assert!(sealer(&["one"], "p").open(b"ada", &sealed[..5]).is_err());
        assert!(Sealer::new([], "p").is_err());
    }

    #[test]
    fn nothing_tells_that_two_secrets_are_the_same() {
        let sealer = sealer(&["one"], "p");
        assert_ne!(sealer.seal(b"ada", b"x").unwrap(), sealer.seal(b"ada", b"x").unwrap());
    }
}
