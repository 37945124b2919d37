//! When a certificate ends. It is in the clear in the DER form: a sequence of two times, the second of which is the end.

use chrono::{DateTime, NaiveDateTime, Utc};

/// Tags of DER: the two forms of a time.
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// `None`: it is no certificate.
pub(super) fn end(der: &[u8]) -> Option<DateTime<Utc>> {
    (0..der.len()).find_map(|at| {
        let (_, rest) = time(&der[at..])?;
        Some(time(rest)?.0)
    })
}

/// The time that `der` begins with, and what follows.
fn time(der: &[u8]) -> Option<(DateTime<Utc>, &[u8])> {
    let [tag @ (UTC_TIME | GENERALIZED_TIME), length, rest @ ..] = der else { return None };
    let (text, rest) = rest.split_at_checked((*length).into())?;
    let text = std::str::from_utf8(text).ok()?;
    // RFC 5280: two digits of a year before 50 are of this century.
    let century = match (*tag, text.as_bytes().first()) {
        (UTC_TIME, Some(b'0'..=b'4')) => "20",
        (UTC_TIME, _) => "19",
        _ => "",
    };
    let time = NaiveDateTime::parse_from_str(&format!("{century}{text}"), "%Y%m%d%H%M%SZ").ok()?;
    Some((time.and_utc(), rest))
}

#[cfg(test)]
mod tests {
    use super::end;

    fn validity(from: &[u8], to: &[u8]) -> Vec<u8> {
        [b"\x30\x82serial and issuer\x30\x1e".as_slice(), from, to, b"subject"].concat()
    }

    #[test]
    fn the_end_is_the_second_of_two_times() {
        let der = validity(b"\x17\x0d260101000000Z", b"\x17\x0d270131123000Z");
        assert_eq!(end(&der).unwrap().to_rfc3339(), "2027-01-31T12:30:00+00:00");
        let der = validity(b"\x17\x0d990101000000Z", b"\x18\x0f20510131000000Z");
        assert_eq!(end(&der).unwrap().to_rfc3339(), "2051-01-31T00:00:00+00:00");
    }

    #[test]
    fn what_is_no_certificate_has_none() {
        for der in
            [b"".as_slice(), b"\x17", b"\x17\x0d2601", &validity(b"\x17\x0d26x101000000Z", b"")]
        {
            assert_eq!(end(der), None);
        }
    }
}
