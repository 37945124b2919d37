use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// How far Stripe's clock and ours may differ, in seconds. Older events could be replays.
const TOLERANCE: i64 = 300;

/// Whether `header` (`t=…,v1=…,v1=…`) proves that Stripe sent `body` just now.
///
/// While the secret is being replaced there is one `v1` for each; any may match. Other schemes are
/// ignored: `v0` is Stripe's for test clients and proves nothing.
pub(crate) fn is_valid(
    header: &str,
    body: &[u8],
    secret: &SecretString,
    now: DateTime<Utc>,
) -> bool {
    let fields = || header.split(',').filter_map(|field| field.trim().split_once('='));
    let Some((_, timestamp)) = fields().find(|(name, _)| *name == "t") else { return false };
    let Ok(sent) = timestamp.parse::<i64>() else { return false };
    if now.timestamp().abs_diff(sent) > TOLERANCE.unsigned_abs() {
        return false;
    }
    let mac = mac(timestamp, body, secret);
    fields()
        .filter(|(name, _)| *name == "v1")
        .filter_map(|(_, signature)| hex::decode(signature).ok())
        .any(|signature| mac.clone().verify_slice(&signature).is_ok())
}

/// The header with which Stripe would send `body` now.
pub(crate) fn sign(body: &[u8], secret: &SecretString, now: DateTime<Utc>) -> String {
    let timestamp = now.timestamp().to_string();
    let mac = mac(&timestamp, body, secret).finalize().into_bytes();
    format!("t={timestamp},v1={}", hex::encode(mac))
}

fn mac(timestamp: &str, body: &[u8], secret: &SecretString) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes());
    let mac = mac.expect("HMAC takes keys of any length");
    mac.chain_update(timestamp).chain_update(".").chain_update(body)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::Sha256;

    use super::is_valid;

    const BODY: &[u8] = br#"{"id": "evt_1"}"#;
    const SENT: i64 = 1_790_000_000;

    fn sign(secret: &str, body: &[u8]) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        let mac = mac.chain_update(SENT.to_string()).chain_update(".").chain_update(body);
        hex::encode(mac.finalize().into_bytes())
    }

    fn accepted(header: &str, body: &[u8], late: i64) -> bool {
        let now: DateTime<Utc> = DateTime::from_timestamp(SENT, 0).unwrap();
        is_valid(header, body, &"whsec_ours".into(), now + TimeDelta::seconds(late))
    }

    #[test]
    fn only_the_exact_bytes_pass() {
        let header = format!("t={SENT},v1={}", sign("whsec_ours", BODY));
        assert!(accepted(&header, BODY, 0));
        assert!(!accepted(&header, br#"{"id":"evt_1"}"#, 0));
        assert!(!accepted(&header, b"", 0));
    }

    #[test]
    fn an_event_is_accepted_for_five_minutes_either_way() {
        let header = format!("t={SENT},v1={}", sign("whsec_ours", BODY));
        assert!(accepted(&header, BODY, 300) && accepted(&header, BODY, -300));
        assert!(!accepted(&header, BODY, 301) && !accepted(&header, BODY, -301));
    }

    #[test]
    fn the_timestamp_is_signed_too() {
        let header = format!("t={},v1={}", SENT + 1, sign("whsec_ours", BODY));
        assert!(!accepted(&header, BODY, 0));
    }

    #[test]
    fn while_the_secret_is_replaced_one_of_two_signatures_suffices() {
        let (ours, other) = (sign("whsec_ours", BODY), sign("whsec_other", BODY));
        assert!(accepted(&format!("t={SENT},v1={other},v1={ours}"), BODY, 0));
        assert!(accepted(&format!("t={SENT},v1={ours},v1={other}"), BODY, 0));
        assert!(!accepted(&format!("t={SENT},v1={other},v1={other}"), BODY, 0));
    }

    #[test]
    fn a_v0_signature_proves_nothing() {
        assert!(!accepted(&format!("t={SENT},v0={}", sign("whsec_ours", BODY)), BODY, 0));
    }

    #[test]
    fn nonsense_is_refused() {
        let ours = sign("whsec_ours", BODY);
        for header in [
            String::new(),
            format!("v1={ours}"),
            format!("t={SENT}"),
            format!("t={SENT},v1="),
            format!("t={SENT},v1={}", &ours[..32]),
            format!("t={SENT},v1=zz{}", &ours[2..]),
            format!("t=,v1={ours}"),
            format!("t=99999999999999999999,v1={ours}"),
            format!("t={},v1={ours}", i64::MIN),
        ] {
            assert!(!accepted(&header, BODY, 0), "{header} was accepted");
        }
    }
}
