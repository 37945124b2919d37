use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

/// Signs what links say with the newest secret, and knows what was signed with any.
#[derive(Clone)]
pub(crate) struct Signer(Arc<[[u8; 32]]>);

impl Signer {
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let derive = |secret: &SecretString| {
            sealing::derive(secret.expose_secret().as_bytes(), "assets.links")
        };
        Self(secrets.into_iter().map(derive).collect())
    }

    /// `None`: there is no secret, so nothing can be signed.
    pub(crate) fn sign(&self, text: &str) -> Option<String> {
        self.0.first().map(|key| hex::encode(sealing::derive(key, text)))
    }

    pub(crate) fn verify(&self, text: &str, signature: &str) -> bool {
        let Ok(signature) = hex::decode(signature) else { return false };
        let is = |key: &[u8; 32]| bool::from(sealing::derive(key, text).ct_eq(&signature[..]));
        self.0.iter().any(is)
    }
}

#[cfg(test)]
mod tests {
    use super::Signer;

    #[test]
    fn a_signature_holds_for_its_text_and_through_a_change_of_the_secret() {
        let signer = |secrets: &[&str]| {
            let secrets: Vec<_> = secrets.iter().map(|it| (*it).into()).collect();
            Signer::new(&secrets)
        };
        let signature = signer(&["one"]).sign("text").unwrap();
        assert!(signer(&["two", "one"]).verify("text", &signature));
        assert!(!signer(&["two"]).verify("text", &signature));
        assert!(!signer(&["one"]).verify("another", &signature));
        for forged in ["", "00", &signature[2..], &signature.replace(&signature[..2], "zz")] {
            assert!(!signer(&["one"]).verify("text", forged), "{forged}");
        }
        assert_eq!(signer(&[]).sign("text"), None);
        assert!(!signer(&[]).verify("text", ""));
    }
}
