use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An address mail can be sent to, in the one form in which we store and compare it.
///
/// Normalisation is trimming and lower-casing, and only ASCII is accepted: a look-alike letter
/// (`ﬁ`, the Kelvin sign, a full-width `@`) must never match somebody else's account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(try_from = "String", into = "String")]
#[sqlx(transparent)]
#[schema(value_type = String, format = Email, max_length = 254, example = "ada@example.com")]
pub struct EmailAddress(String);

/// The text is not an e-mail address that we would send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an e-mail address like name@example.com (ASCII, at most 254 characters)")]
pub struct InvalidEmailAddress;

impl EmailAddress {
    /// The normalised text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the `@`.
    pub fn local_part(&self) -> &str {
        self.0.split_once('@').map_or(&self.0, |(local, _)| local)
    }

    /// The part after it.
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidEmailAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim_matches(' ').to_ascii_lowercase();
        let (local, domain) = text.split_once('@').ok_or(InvalidEmailAddress)?;
        let valid = text.len() <= 254 && is_local_part(local) && is_domain(domain);
        if valid { Ok(Self(text)) } else { Err(InvalidEmailAddress) }
    }
}

/// RFC 5321's dot-string: no quoting, so no comma, space or line break reaches a mail header.
fn is_local_part(local: &str) -> bool {
    local.len() <= 64
        && local.split('.').all(|atom| {
            !atom.is_empty()
                && atom
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&b))
        })
}

fn is_domain(domain: &str) -> bool {
    domain.contains('.')
        && domain.split('.').all(|label| {
            matches!(label.len(), 1..=63)
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

impl TryFrom<String> for EmailAddress {
    type Error = InvalidEmailAddress;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::EmailAddress;

    #[test]
    fn spelling_variants_are_one_address() {
        let address: EmailAddress = " A@X.Example ".parse().unwrap();
        assert_eq!(address, "a@x.EXAMPLE".parse().unwrap());
        assert_eq!(address.as_str(), "a@x.example");
    }

    #[test]
    fn look_alikes_and_header_tricks_are_refused() {
        let long = format!("{}@x.example", "a".repeat(300));
        for text in [
            "",
            "a",
            "a@b",
            "@x.example",
            "a@x.example\r\nBcc: b@y.example",
            "\"a,b\"@x.example",
            "a b@x.example",
            "\u{212A}@x.example",
            "a\u{FF20}x.example",
            "user@ex\u{e4}mple.org",
            "a@-x.example",
            "a@x..example",
            "a@b@x.example",
            &long,
        ] {
            assert!(text.parse::<EmailAddress>().is_err(), "{text:?} was accepted");
        }
    }
}
