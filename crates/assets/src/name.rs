use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{Error, Result};

/// What RFC 8187 lets stand for itself.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const LONGEST: usize = 255;

/// The name, if it fits in a line. It is only ever shown, never a path.
pub(crate) fn acceptable(name: &str) -> Result<&str> {
    let name = name.trim();
    let fits = (1..=LONGEST).contains(&name.len());
    if fits && !name.chars().any(|it| it.is_control() || is_invisible(it)) {
        Ok(name)
    } else {
        Err(Error::InvalidName)
    }
}

/// Characters that turn text around, so that `gpj.exe` reads `exe.jpg`.
fn is_invisible(it: char) -> bool {
    matches!(it, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `Content-Disposition` (RFC 6266) under which no program makes more of the name than its last part.
pub(crate) fn disposition(inline: bool, name: &str) -> String {
    let safe = |it: char| if "/\\:*?\"<>|%;".contains(it) { '_' } else { it };
    let name: String = name.chars().map(safe).collect();
    let name = match name.trim_start_matches('.') {
        "" => "file",
        rest => rest,
    };
    let ascii: String = name.chars().map(|it| if it.is_ascii() { it } else { '_' }).collect();
    let kind = if inline { "inline" } else { "attachment" };
    let mut text = format!("{kind}; filename=\"{ascii}\"");
    if ascii != name {
        let _ = write!(text, "; filename*=UTF-8''{}", utf8_percent_encode(name, ENCODED));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{acceptable, disposition};

    #[test]
    fn a_name_fits_in_a_line_and_hides_nothing() {
        for name in
            [" a.png ", "../../x", "..%2f", "con.png", ".htaccess", "月.png", &"x".repeat(255)]
        {
            assert_eq!(acceptable(name).unwrap(), name.trim());
        }
        for name in ["", "  ", "a\r\nSet-Cookie: x", "a\0b", "\u{202e}gpj.exe", &"x".repeat(300)] {
            assert!(acceptable(name).is_err(), "{name:?} was accepted");
        }
    }

    #[test]
    fn a_download_is_never_named_after_a_path_or_a_hidden_file() {
        for (name, file) in [
            ("a b.png", "a b.png"),
            ("../../x", "_.._x"),
            ("..%2fx", "_2fx"),
            (".htaccess", "htaccess"),
            ("...", "file"),
            ("a\"; filename=\"b.exe", "a__ filename=_b.exe"),
            ("C:\\x", "C__x"),
        ] {
            assert_eq!(disposition(false, name), format!("attachment; filename=\"{file}\""));
        }
        assert_eq!(
            disposition(true, "naïve 月.png"),
            "inline; filename=\"na_ve _.png\"; filename*=UTF-8''na%C3%AFve%20%E6%9C%88.png"
        );
    }
}
