use std::sync::Arc;

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use kernel::Id;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::Email;

/// Signs the links that end mails: a mail's id and a part of its HMAC. Nothing about them is stored, and
/// nothing about their reader is in them.
#[derive(Clone)]
pub(crate) struct Tokens {
    /// The newest first, which signs; all are believed.
    keys: Arc<[hmac::Key]>,
}

/// 128 bits cannot be guessed.
const SIGNATURE: usize = 16;

impl Tokens {
    pub(crate) fn new(secrets: impl IntoIterator<Item = SecretString>) -> anyhow::Result<Self> {
        // A key for this alone, so that no other signature under the secret passes for one of these.
        let derive = |secret: SecretString| {
            let key = sealing::derive(secret.expose_secret().as_bytes(), "email.unsubscribe");
            hmac::Key::new(hmac::HMAC_SHA256, &key)
        };
        let keys: Arc<[hmac::Key]> = secrets.into_iter().map(derive).collect();
        anyhow::ensure!(!keys.is_empty(), "AUTH_SECRET is not set");
        Ok(Self { keys })
    }

    pub(crate) fn of(&self, email: Id<Email>) -> String {
        let id = email.uuid();
        let signature = hmac::sign(&self.keys[0], id.as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode([id.as_bytes(), &signature.as_ref()[..SIGNATURE]].concat())
    }

    /// The mail that a token came with.
    pub(crate) fn verify(&self, token: &str) -> Option<Id<Email>> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let (id, signature) = bytes.split_first_chunk::<16>()?;
        let valid = |key: &hmac::Key| {
            let expected = hmac::sign(key, id);
            verify_slices_are_equal(&expected.as_ref()[..SIGNATURE], signature).is_ok()
        };
        self.keys.iter().any(valid).then(|| Uuid::from_bytes(*id).into())
    }
}

#[cfg(test)]
mod tests {
    use kernel::Id;

    use super::Tokens;

    #[test]
    fn a_token_holds_for_its_mail_and_across_one_change_of_the_secret() {
        let (before, after) = ("a secret".into(), "the next one".into());
        let old = Tokens::new([before]).unwrap();
        let both = Tokens::new([after, "a secret".into()]).unwrap();
        let mail = Id::new();
        assert_eq!(both.verify(&old.of(mail)), Some(mail));
        assert_eq!(old.verify(&both.of(mail)), None);
    }

    #[test]
    fn a_token_that_was_touched_holds_for_nothing() {
        let tokens = Tokens::new(["a secret".into()]).unwrap();
        let (mine, theirs) = (tokens.of(Id::new()), tokens.of(Id::new()));
        let mixed = format!("{}{}", &mine[..22], &theirs[22..]);
        for forged in ["", "x", &mine[..mine.len() - 2], &mixed, &format!("{mine}A"), "%00"] {
            assert_eq!(tokens.verify(forged), None, "{forged:?}");
        }
    }
}
