use std::ops::Range;

/// What a `Range` header asks for of something that is `size` bytes long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All of it: none was asked for, or in a way that need not be answered (RFC 9110, 14.2).
    Everything,
    /// These.
    Part(Range<u64>),
    /// Some that there are not.
    Unsatisfiable,
}

pub(crate) fn parse(header: Option<&str>, size: u64) -> Asked {
    let Some(ranges) = header.and_then(|text| text.trim().strip_prefix("bytes=")) else {
        return Asked::Everything;
    };
    let Some((first, last)) = ranges.split_once('-').filter(|_| !ranges.contains(',')) else {
        return Asked::Everything;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let range = match (number(first), number(last)) {
        (None, Some(length)) if first.trim().is_empty() => size.saturating_sub(length)..size,
        (Some(first), None) if last.trim().is_empty() => first..size,
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        _ => return Asked::Everything,
    };
    if range.start < range.end { Asked::Part(range) } else { Asked::Unsatisfiable }
}

#[cfg(test)]
mod tests {
    use super::{Asked, parse};

    #[test]
    fn one_range_is_answered_and_others_need_not_be() {
        for (header, range) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-", 2..10),
            ("bytes=-3", 7..10),
            ("bytes=-30", 0..10),
            ("bytes=8-99", 8..10),
            ("bytes=0-18446744073709551615", 0..10),
        ] {
            assert_eq!(parse(Some(header), 10), Asked::Part(range), "{header}");
        }
        for header in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(parse(Some(header), 10), Asked::Unsatisfiable, "{header}");
        }
        for header in
            ["", "bytes=", "bytes=-", "bytes=3-2", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b"]
        {
            assert_eq!(parse(Some(header), 10), Asked::Everything, "{header}");
        }
        assert_eq!(parse(None, 10), Asked::Everything);
    }
}
