use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const PREFIX: &str = "whsec_";

/// What an endpoint and we sign and verify with (Standard Webhooks).
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// 256 random bits.
    pub(crate) fn random() -> Self {
        Self(rand::random::<[u8; 32]>().to_vec())
    }

    /// The secret whose bytes these are.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// As its owner sees it once: `whsec_` and base64.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", BASE64_STANDARD.encode(&self.0))
    }

    /// Reads what [`Self::reveal`] wrote.
    pub fn read(text: &str) -> Option<Self> {
        BASE64_STANDARD.decode(text.strip_prefix(PREFIX)?).ok().map(Self)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// The header `webhook-signature`: one signature for each secret that is valid now.
pub fn signature(secrets: &[Secret], id: &str, timestamp: i64, body: &str) -> String {
    let signatures: Vec<_> = secrets.iter().map(|it| it.sign(id, timestamp, body)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Secret, signature};

    /// From the test suite of the reference implementations.
    #[test]
    fn the_public_vector_of_the_standard_is_signed_as_it_says() {
        let secret = Secret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(
            &[secret],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn every_valid_secret_signs() {
        let (one, two) = (Secret::random(), Secret::random());
        let both = signature(&[one.clone(), two.clone()], "id", 1, "body");
        let alone = [one, two].map(|it| signature(&[it], "id", 1, "body"));
        assert_eq!(both, alone.join(" "));
        assert_ne!(alone[0], alone[1]);
    }

    #[test]
    fn a_secret_is_long_enough_for_the_standard_and_survives_being_written() {
        let secret = Secret::random();
        let text = secret.reveal();
        assert!((24..=64).contains(&secret.bytes().len()));
        assert_eq!(Secret::read(&text).unwrap().bytes(), secret.bytes());
        for other in ["", "whsec_", "sk_abc", "whsec_%%%"] {
            let read = Secret::read(other);
            assert!(read.is_none_or(|it| it.bytes().is_empty()), "{other}");
        }
    }
}
