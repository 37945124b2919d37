use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use http::HeaderMap;

use super::is_recent;

/// More signatures than secrets that overlap are an attack on our time.
const MOST_SIGNATURES: usize = 8;

/// The secret that messages are signed with, as Standard Webhooks write it: `whsec_` and base 64.
#[derive(Clone)]
pub(crate) struct Secret(hmac::Key);

/// A message that came from Resend.
pub(crate) struct Verified<'a> {
    /// Stays the same when it is sent again.
    pub(crate) id: &'a str,
}

impl Secret {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let key = BASE64_STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text));
        let key = key.ok().filter(|key| key.len() >= 16);
        let key = key.ok_or_else(|| anyhow::anyhow!("is not like whsec_ and base 64"))?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// Checks the signature over the body as it came, and that it is not an old one sent again.
    pub(crate) fn verify<'a>(
        &self,
        headers: &'a HeaderMap,
        body: &[u8],
        now: DateTime<Utc>,
    ) -> Option<Verified<'a>> {
        let id = header(headers, "id").filter(|id| (1..=200).contains(&id.len()))?;
        let timestamp = header(headers, "timestamp")?;
        if !is_recent(timestamp, now) {
            return None;
        }
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
        let signatures = header(headers, "signature")?.split(' ').take(MOST_SIGNATURES);
        let mut decoded = signatures
            .filter_map(|it| it.strip_prefix("v1,"))
            .filter_map(|it| BASE64_STANDARD.decode(it).ok());
        decoded
            .any(|signature| hmac::verify(&self.0, &signed, &signature).is_ok())
            .then_some(Verified { id })
    }
}

/// Resend sends through Svix, which names its headers after itself.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = ["svix", "webhook"].iter().find_map(|it| headers.get(format!("{it}-{name}")));
    value?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use http::HeaderMap;

    use super::Secret;

    /// The example of the Standard Webhooks specification's reference libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const SENT: i64 = 1_614_265_330;

    fn headers(prefix: &str, signature: &str) -> HeaderMap {
        let pairs = [("id", ID), ("timestamp", "1614265330"), ("signature", signature)];
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: http::HeaderName = format!("{prefix}-{name}").parse().unwrap();
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_public_vector_verifies_for_five_minutes() {
        let secret = Secret::parse(SECRET).unwrap();
        let sent = DateTime::from_timestamp(SENT, 0).unwrap();
        let (valid, overlap) = (headers("svix", SIGNATURE), format!("v1,AAAA v2,x {SIGNATURE}"));
        assert_eq!(secret.verify(&valid, BODY, sent).unwrap().id, ID);
        assert!(secret.verify(&headers("webhook", &overlap), BODY, sent).is_some());
        for minutes in [-6, 6] {
            assert!(secret.verify(&valid, BODY, sent + TimeDelta::minutes(minutes)).is_none());
        }
    }

    #[test]
    fn anything_else_does_not() {
        let secret = Secret::parse(SECRET).unwrap();
        let sent = DateTime::from_timestamp(SENT, 0).unwrap();
        let refused = |headers: &HeaderMap, body| secret.verify(headers, body, sent).is_none();
        assert!(refused(&headers("svix", SIGNATURE), br#"{"test": 2432232315}"#));
        assert!(refused(&headers("svix", &SIGNATURE.replace("v1,", "v1a,")), BODY));
        assert!(refused(&headers("svix", "v1,"), BODY));
        assert!(refused(&HeaderMap::new(), BODY));
        let other = Secret::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        assert!(other.verify(&headers("svix", SIGNATURE), BODY, sent).is_none());
        assert!(Secret::parse("whsec_").is_err() && Secret::parse("whsec_%%%").is_err());
    }
}
