//! What no prompt may contain, whichever way it goes to a provider.

use axum::http::StatusCode;
use memchr::memchr;
use web::Problem;

/// Rules for every prompt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hygiene {
    /// At one for each byte.
    pub(crate) most_tokens: i64,
    pub(crate) refuses_control_characters: bool,
}

impl Hygiene {
    /// Refuses a body, which is JSON, whose texts are not Unicode or contain control characters.
    pub(crate) fn check(self, body: &[u8]) -> Result<(), Problem> {
        if std::str::from_utf8(body).is_err() {
            return Err(refused("must be UTF-8"));
        }
        // JSON itself has no other control character within a text.
        if self.refuses_control_characters && memchr(0x7f, body).is_some() {
            return Err(control_character(0x7f));
        }
        let mut rest = body;
        while let Some(at) = memchr(b'\\', rest) {
            let escape = rest.get(at + 1..).unwrap_or_default();
            rest = self.after(escape)?;
        }
        Ok(())
    }

    /// What follows an escape.
    fn after(self, escape: &[u8]) -> Result<&[u8], Problem> {
        let Some((kind, rest)) = escape.split_first() else { return Ok(&[]) };
        let (character, rest) = match kind {
            b'b' => (0x08, rest),
            b'f' => (0x0c, rest),
            b'u' => match unit(rest) {
                Some((0xd800..=0xdbff, rest)) => {
                    let low = rest.strip_prefix(b"\\u").and_then(unit);
                    let Some((0xdc00..=0xdfff, rest)) = low else { return Err(half()) };
                    return Ok(rest);
                }
                Some((0xdc00..=0xdfff, _)) => return Err(half()),
                Some(it) => it,
                // Not JSON, as whoever parses it says.
                None => return Ok(rest),
            },
            _ => return Ok(rest),
        };
        let is_control = matches!(character, 1..=8 | 0x0b | 0x0c | 0x0e..=0x1f | 0x7f);
        if character == 0 || (is_control && self.refuses_control_characters) {
            return Err(control_character(character));
        }
        Ok(rest)
    }

    /// Refuses what nobody's context has room for.
    pub(crate) fn check_length(self, tokens: i64) -> Result<(), Problem> {
        if tokens <= self.most_tokens {
            return Ok(());
        }
        let detail = format!("a prompt has at most {} bytes", self.most_tokens);
        Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "prompt_too_long", detail)
            .action("Shorten it, or leave out earlier messages."))
    }
}

/// The four digits of a `\u` escape.
fn unit(digits: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = digits.split_at_checked(4)?;
    let digits = std::str::from_utf8(digits).ok().filter(|it| !it.starts_with('+'))?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

fn refused(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::unprocessable("invalid_text", detail)
        .action("Take it out, and whatever else is no text.")
}

fn half() -> Problem {
    refused("a text contains half of a character (a surrogate without its other half)")
}

fn control_character(character: u32) -> Problem {
    refused(format!("a text contains the control character U+{character:04X}"))
}

#[cfg(test)]
mod tests {
    use super::Hygiene;

    const STRICT: Hygiene = Hygiene { most_tokens: 10, refuses_control_characters: true };
    const LENIENT: Hygiene = Hygiene { refuses_control_characters: false, ..STRICT };

    #[test]
    fn texts_are_whole_characters_that_can_be_read() {
        for body in [
            br#"{"a":"line\nbreak\ttab\r\"\\u0000 \\b \u00e9 \uD83D\uDE00"}"#.as_slice(),
            "{\"a\":\"é 月 😀 \u{85}\"}".as_bytes(),
            br#"{"a":"\"#,
            br#"{"a":"\u12"#,
        ] {
            STRICT.check(body).unwrap();
        }
        for body in [
            br#""\u0000""#.as_slice(),
            br#""\\\u0000""#,
            b"\"\xff\"",
            br#""\ud800""#,
            br#""\ud800\u0041""#,
            br#""\ud800\ud800""#,
            br#""\uDE00\uD83D""#,
        ] {
            STRICT.check(body).unwrap_err();
            LENIENT.check(body).unwrap_err();
        }
        for body in
            [br#""\u001b[31m""#.as_slice(), br#""\b""#, br#""\f""#, b"\"\x7f\"", br#""\u007F""#]
        {
            STRICT.check(body).unwrap_err();
            LENIENT.check(body).unwrap();
        }
    }

    #[test]
    fn a_prompt_has_an_end() {
        STRICT.check_length(10).unwrap();
        assert_eq!(STRICT.check_length(11).unwrap_err().status, 413);
    }
}
