use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::key::Key;

/// Encrypts one answer: what is stored is of no use without `AUTH_SECRET` and the client's key.
pub(crate) fn seal(secret: &SecretString, key: &Key, id: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut text = plain.to_vec();
    let nonce = cipher(secret, key, id)
        .seal_in_place_append_tag(Aad::from(id), &mut text)
        .expect("an answer is far shorter than what AES-GCM can encrypt");
    [nonce.as_ref().as_slice(), &text].concat()
}

/// The answer, if it was sealed for this key with one of `secrets`.
pub(crate) fn open(
    secrets: &[SecretString],
    key: &Key,
    id: &[u8],
    sealed: &[u8],
) -> Option<Vec<u8>> {
    secrets.iter().find_map(|secret| {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let mut text = text.to_vec();
        let plain = cipher(secret, key, id).open_in_place(nonce, Aad::from(id), &mut text).ok()?;
        Some(plain.to_vec())
    })
}

fn cipher(secret: &SecretString, key: &Key, id: &[u8]) -> RandomizedNonceKey {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(b"slipway idempotency answers");
    mac.update(id);
    mac.update(key.0.as_bytes());
    let derived = mac.finalize().into_bytes();
    RandomizedNonceKey::new(&AES_256_GCM, &derived).expect("the key has 256 bits")
}

#[cfg(test)]
mod tests {
    use super::{open, seal};
    use crate::key::Key;

    #[test]
    fn an_answer_is_read_only_with_its_secret_its_key_and_its_record() {
        let (secret, key) = ("s".repeat(32).into(), Key("order 7".to_owned()));
        let sealed = seal(&secret, &key, b"id", b"slip_secret");
        let ours = [secret];

        assert!(!sealed.windows(11).any(|it| it == b"slip_secret"));
        assert_eq!(open(&ours, &key, b"id", &sealed).unwrap(), b"slip_secret");
        assert_eq!(open(&["t".repeat(32).into()], &key, b"id", &sealed), None);
        assert_eq!(open(&ours, &Key("order 8".to_owned()), b"id", &sealed), None);
        assert_eq!(open(&ours, &key, b"other", &sealed), None);
        assert_eq!(open(&ours, &key, b"id", &sealed[1..]), None);
        assert_eq!(open(&ours, &key, b"id", b""), None);
    }

    #[test]
    fn answers_stay_readable_while_the_secret_is_rotated() {
        let (new, old) = ("n".repeat(32).into(), "o".repeat(32).into());
        let key = Key("order 7".to_owned());
        let sealed = seal(&old, &key, b"id", b"answer");

        assert_eq!(open(&[new, old], &key, b"id", &sealed).unwrap(), b"answer");
    }
}
