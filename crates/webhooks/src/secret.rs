use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_TYPE, InvalidHeaderValue},
};
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

    /// Reads what [`Self::reveal`] wrote, or any other secret of the 24 to 64 bytes that the standard wants.
    pub fn read(text: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
        (24..=64).contains(&bytes.len()).then_some(Self(bytes))
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

/// The headers of a message with this JSON as its body, signed with each secret that is valid now.
pub fn headers(
    secrets: &[Secret],
    id: &str,
    timestamp: i64,
    body: &str,
) -> Result<HeaderMap, InvalidHeaderValue> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in [
        ("webhook-id", id),
        ("webhook-timestamp", &timestamp.to_string()),
        ("webhook-signature", &signature(secrets, id, timestamp, body)),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
    }
    Ok(headers)
}

/// The header `webhook-signature`: one signature for each secret that is valid now.
pub fn signature(secrets: &[Secret], id: &str, timestamp: i64, body: &str) -> String {
    let signatures: Vec<_> = secrets.iter().map(|it| it.sign(id, timestamp, body)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Secret, headers, signature};

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
    fn what_would_break_out_of_a_header_is_not_signed() {
        let secrets = [Secret::random()];
        let headers = headers(&secrets, "id", 1, "body").unwrap();
        assert_eq!(headers["webhook-signature"], signature(&secrets, "id", 1, "body"));
        assert_eq!((headers["webhook-id"].as_bytes(), headers.len()), (&b"id"[..], 4));
        assert!(super::headers(&secrets, "id\r\nhost: evil", 1, "body").is_err());
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
        for other in ["", "whsec_", "sk_abc", "whsec_%%%", "whsec_c2hvcnQ="] {
            assert!(Secret::read(other).is_none(), "{other}");
        }
    }
}
