use anyhow::anyhow;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};

use super::keys::Key;
use crate::Keys;

/// Encrypts what we must be able to read again, bound to `owner`: moved to another row, it does not
/// open. Answers nonce, ciphertext and tag.
pub(crate) fn seal(keys: &Keys, owner: &[u8], secret: &[u8]) -> anyhow::Result<Vec<u8>> {
    let key = RandomizedNonceKey::new(&AES_256_GCM, &keys.current().sealing)?;
    let mut text = secret.to_vec();
    let nonce = key.seal_in_place_append_tag(Aad::from(owner), &mut text)?;
    let mut sealed = nonce.as_ref().to_vec();
    sealed.extend(text);
    Ok(sealed)
}

/// What [`seal`] encrypted, with the current or the previous `AUTH_SECRET`.
pub(crate) fn open(keys: &Keys, owner: &[u8], sealed: &[u8]) -> anyhow::Result<Vec<u8>> {
    let opened = keys.all().iter().find_map(|key| open_with(key, owner, sealed));
    opened.ok_or_else(|| anyhow!("sealed with an AUTH_SECRET that is no longer configured"))
}

/// Whether it was encrypted with the current one.
pub(crate) fn is_current(keys: &Keys, owner: &[u8], sealed: &[u8]) -> bool {
    open_with(keys.current(), owner, sealed).is_some()
}

fn open_with(key: &Key, owner: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
    let key = RandomizedNonceKey::new(&AES_256_GCM, &key.sealing).ok()?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut text = text.to_vec();
    Some(key.open_in_place(nonce, Aad::from(owner), &mut text).ok()?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::{open, seal};
    use crate::{Config, Keys};

    fn keys(secret: &str, previous: Option<&str>) -> Keys {
        let config = Config {
            auth_secret: Some(secret.into()),
            auth_secret_previous: previous.map(Into::into),
            ..Config::default()
        };
        Keys::new(&config).unwrap()
    }

    #[test]
    fn a_sealed_secret_opens_for_its_owner_only_and_with_the_previous_key_too() {
        let sealed = seal(&keys("one", None), b"ada", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|bytes| bytes == b"secret"));
        assert_eq!(open(&keys("one", None), b"ada", &sealed).unwrap(), b"secret");
        assert_eq!(open(&keys("two", Some("one")), b"ada", &sealed).unwrap(), b"secret");
        assert!(open(&keys("one", None), b"eve", &sealed).is_err());
        assert!(open(&keys("two", None), b"ada", &sealed).is_err());
        assert!(open(&keys("one", None), b"ada", &sealed[..5]).is_err());
    }

    #[test]
    fn nothing_tells_that_two_secrets_are_the_same() {
        let keys = keys("one", None);
        assert_ne!(seal(&keys, b"ada", b"x").unwrap(), seal(&keys, b"ada", b"x").unwrap());
    }
}
