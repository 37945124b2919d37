use anyhow::Context;
use chrono::{DateTime, Utc};
use kernel::EmailAddress;
use totp_rs::{Builder, Totp};

use crate::Keys;

/// Time-based codes (RFC 6238) of one authenticator: six digits, 30 seconds, one step of tolerance to
/// either side.
pub(crate) struct Authenticator(Totp);

impl Authenticator {
    /// The authenticator with `secret`, which shows itself as `email` at `product`.
    pub(crate) fn new(secret: &[u8], product: &str, email: &EmailAddress) -> anyhow::Result<Self> {
        // The two are joined by a colon in the address that authenticators scan.
        let product = product.replace(':', " ");
        let builder = Builder::new().with_secret(secret.to_vec());
        let builder = builder.with_issuer(Some(product)).with_account_name(email.to_string());
        builder.build().map(Self).context("a second factor")
    }

    /// The same, from what is stored for `owner`.
    pub(crate) fn open(
        keys: &Keys,
        owner: uuid::Uuid,
        stored: &[u8],
        product: &str,
        email: &EmailAddress,
    ) -> anyhow::Result<Self> {
        Self::new(&keys.sealer.open(owner.as_bytes(), stored)?, product, email)
    }

    /// The secret in base 32, to be typed in.
    pub(crate) fn secret(&self) -> String {
        self.0.secret().to_base32()
    }

    /// The same as an address, to be shown as a QR code.
    pub(crate) fn url(&self) -> anyhow::Result<String> {
        Ok(self.0.to_url()?)
    }

    /// The time step whose code this is, if it is one of now. It may have been used before: whoever
    /// accepts it keeps the step, and takes none that is not later.
    pub(crate) fn step_of(&self, code: &str, now: DateTime<Utc>) -> anyhow::Result<Option<i64>> {
        // Digits of other scripts, spaces and longer numbers are no codes.
        if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        let step = self.0.check(code, u64::try_from(now.timestamp())?);
        Ok(step.map(i64::try_from).transpose()?)
    }
}

/// A new secret of the recommended 160 bits.
pub(crate) fn generate() -> Vec<u8> {
    rand::random::<[u8; 20]>().to_vec()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::Authenticator;

    /// RFC 6238, appendix B, for SHA-1: the last six of its eight digits.
    const VECTORS: [(i64, &str); 6] = [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ];

    fn step(code: &str, seconds: i64) -> Option<i64> {
        let authenticator = Authenticator::new(
            b"12345678901234567890",
            "Slipway",
            &"ada@example.com".parse().unwrap(),
        );
        authenticator.unwrap().step_of(code, DateTime::from_timestamp(seconds, 0).unwrap()).unwrap()
    }

    #[test]
    fn the_vectors_of_the_standard_hold_and_tell_their_step() {
        for (seconds, code) in VECTORS {
            assert_eq!(step(code, seconds), Some(seconds / 30), "{code}");
        }
    }

    #[test]
    fn a_code_of_the_step_before_or_after_holds_and_none_further_away() {
        let (seconds, code) = VECTORS[3];
        for (away, holds) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            assert_eq!(step(code, seconds + away * 30).is_some(), holds, "{away}");
        }
    }

    #[test]
    fn what_is_not_six_digits_is_no_code() {
        let (seconds, code) = VECTORS[3];
        for other in [
            format!("{code}0"),
            format!(" {code}"),
            code[1..].to_owned(),
            "\u{660}\u{660}\u{665}\u{669}\u{662}\u{664}".to_owned(),
            String::new(),
        ] {
            assert_eq!(step(&other, seconds), None, "{other:?}");
        }
    }
}
