use infer::MatcherType;

/// Types that browsers show and never run.
const SHOWN: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Whether a browser may show it where it is; everything else is downloaded.
pub(crate) fn is_shown(content_type: &str) -> bool {
    let plays = ["video/", "audio/"].iter().any(|kind| content_type.starts_with(kind));
    plays || SHOWN.contains(&content_type)
}

/// Whether it is an image that we look into.
pub(crate) fn is_image(content_type: &str) -> bool {
    SHOWN.contains(&content_type)
}

/// Whether it has no signature by which it could be known, being text.
fn is_text(content_type: &str) -> bool {
    content_type.starts_with("text/")
        || ["application/json", "image/svg+xml", "application/xml"].contains(&content_type)
}

/// Why what begins with `head` is not of `content_type`, if it is not.
pub(crate) fn mismatch(content_type: &str, head: &[u8]) -> Option<&'static str> {
    let found = infer::get(head);
    // Words may begin as a signature of two letters does: heed only those of other texts.
    let text = is_text(content_type)
        && found.is_none_or(|found| found.matcher_type() != MatcherType::Text);
    match found.map(|found| found.mime_type()) {
        Some(found) if is_same(found, content_type) => None,
        Some(_) | None if text && looks_like_text(head) => None,
        None if text => Some("it is not text"),
        Some(_) | None => Some("it is not of the type that was announced"),
    }
}

/// The same type by two names, or one that is packed into the other.
fn is_same(found: &str, announced: &str) -> bool {
    let aliases = [
        ("audio/x-wav", "audio/wav"),
        ("application/gzip", "application/x-gzip"),
        ("text/xml", "image/svg+xml"),
        ("text/xml", "application/xml"),
    ];
    found == announced || aliases.contains(&(found, announced))
}

/// Whole characters of UTF-8, the last of which may be cut, and none that no text has.
fn looks_like_text(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    valid && !head.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::{is_shown, mismatch};

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    const EXE: &[u8] = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0";

    #[test]
    fn content_is_what_it_says() {
        for (announced, head) in [
            ("image/png", PNG),
            ("image/jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF"),
            ("application/pdf", b"%PDF-1.7\n"),
            ("text/plain", "naïve".as_bytes()),
            ("text/plain", &"naïve".as_bytes()[..3]),
            ("text/csv", b"a,b\n1,2\n"),
            ("text/csv", b"BMI,weight\n20,60\n"),
            ("application/json", b"{\"a\": 1}"),
            ("image/svg+xml", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
        ] {
            assert_eq!(mismatch(announced, head), None, "{announced}");
        }
        for (announced, head) in [
            ("image/png", EXE),
            ("image/png", b"\xff\xd8\xff\xe0\0\x10JFIF"),
            ("image/png", b"<svg onload=alert(1)>"),
            ("image/png", b"nothing in particular"),
            ("text/plain", b"<!DOCTYPE html><script>alert(1)</script>"),
            ("text/plain", b"<html><body onload=alert(1)>"),
            ("text/plain", EXE),
            ("text/plain", b"a\0b"),
            ("text/csv", b"\xff\xfe\x00"),
            ("application/json", PNG),
            ("application/zip", b"%PDF-1.7\n"),
        ] {
            assert!(mismatch(announced, head).is_some(), "{announced}: {head:?}");
        }
    }

    #[test]
    fn only_what_never_runs_is_shown() {
        for shown in ["image/png", "image/gif", "video/mp4", "audio/mpeg"] {
            assert!(is_shown(shown), "{shown}");
        }
        for downloaded in
            ["image/svg+xml", "text/html", "text/plain", "application/pdf", "application/json"]
        {
            assert!(!is_shown(downloaded), "{downloaded}");
        }
    }
}
