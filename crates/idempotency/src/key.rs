use axum::http::{HeaderMap, HeaderName};
use web::Problem;

/// The header that names a request.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const LONGEST: usize = 255;

/// What a client calls a request, so that it is done once however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(pub(crate) String);

impl Key {
    /// Reads the header: a quoted string as the IETF's draft has it, or bare as most clients send it.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut values = headers.get_all(HEADER).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(invalid("is given more than once"));
        };
        let text = value.to_str().map_err(|_| invalid("contains control characters"))?.trim();
        let text = match text.strip_prefix('"') {
            None => text.to_owned(),
            Some(quoted) => unquote(quoted).ok_or_else(|| invalid("is not quoted well"))?,
        };
        match text.len() {
            0 => Err(invalid("is empty")),
            1..=LONGEST if text.contains('\t') => Err(invalid("contains control characters")),
            1..=LONGEST => Ok(Self(text)),
            _ => Err(invalid("is longer than 255 characters")),
        }
    }
}

/// The text of a quoted string (RFC 9651) whose first quote has been read.
fn unquote(text: &str) -> Option<String> {
    let mut unquoted = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => unquoted.push(characters.next().filter(|it| matches!(it, '"' | '\\'))?),
            '"' => return characters.as_str().is_empty().then_some(unquoted),
            other => unquoted.push(other),
        }
    }
    None
}

fn invalid(why: &str) -> Problem {
    Problem::bad_request("invalid_idempotency_key", format!("the Idempotency-Key {why}"))
        .action("Send 1 to 255 printable characters, such as a random UUID.")
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::{HEADER, Key};

    fn read(bytes: &[u8]) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_bytes(bytes).unwrap());
        Key::of(&headers).ok().map(|key| key.0)
    }

    #[test]
    fn bare_and_quoted_keys_are_the_same() {
        assert_eq!(read(b"order 7").as_deref(), Some("order 7"));
        assert_eq!(read(b"\"order 7\"").as_deref(), Some("order 7"));
        assert_eq!(read(br#""a\"b\\c""#).as_deref(), Some("a\"b\\c"));
    }

    #[test]
    fn keys_that_cannot_be_meant_are_refused() {
        for bad in [&b""[..], b"\"\"", b"\"a", b"\"a\"b", b"\"a\\x\"", b"a\tb", b"\xffa"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        assert!(read(&[b'k'; 255]).is_some());
        assert!(read(&[b'k'; 256]).is_none());
        let mut twice = HeaderMap::new();
        twice.append(HEADER, HeaderValue::from_static("a"));
        twice.append(HEADER, HeaderValue::from_static("a"));
        assert!(Key::of(&twice).is_err());
    }
}
