use std::sync::LazyLock;

use memchr::{memchr2, memmem::Finder};
use serde::Deserialize;
use serde_json::Value;

use crate::usage_report::UsageReport;

/// What has to be known of one chunk of a streamed completion.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Bytes of text and of tools' arguments.
    pub(crate) text: usize,
    /// What the call has used so far, if the chunk says so.
    pub(crate) usage: Option<UsageReport>,
    /// Whether it says nothing else.
    pub(crate) only_usage: bool,
}

/// The few chunks that say more than text.
#[derive(Deserialize)]
struct Parsed {
    #[serde(default)]
    choices: Option<Vec<serde::de::IgnoredAny>>,
    usage: Option<UsageReport>,
    error: Option<Value>,
}

// A quote within a JSON string is escaped, so these are found as names only.
static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usage\":"));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"error\":"));
static FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"finish_reason\":"));
static CONTENT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"content\":"));
static ARGUMENTS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"arguments\":"));

impl Chunk {
    /// Reads no more than is needed: nearly all chunks are text, whose length is all that matters.
    pub(crate) fn read(data: &[u8]) -> Result<Self, &'static str> {
        let trimmed = data.trim_ascii();
        if !trimmed.starts_with(b"{") || !trimmed.ends_with(b"}") {
            return Err("the provider sent something unreadable");
        }
        let text = [&CONTENT, &ARGUMENTS].iter().map(|name| text_length(data, name)).sum();
        if !has(data, &USAGE) && !has(data, &ERROR) {
            return Ok(Self { text, ..Self::default() });
        }
        let parsed: Parsed =
            serde_json::from_slice(data).map_err(|_| "the provider sent something unreadable")?;
        if parsed.error.is_some() {
            return Err("the provider failed in the middle of the answer");
        }
        let only_usage = parsed.usage.is_some() && parsed.choices.is_none_or(|it| it.is_empty());
        Ok(Self { text, usage: parsed.usage, only_usage })
    }
}

/// Whether the chunk ends its answer.
pub(crate) fn is_finish(data: &[u8]) -> bool {
    has(data, &FINISH)
}

/// Whether `name` is there and not null.
fn has(data: &[u8], name: &Finder<'_>) -> bool {
    let mut values =
        name.find_iter(data).map(|at| data[at + name.needle().len()..].trim_ascii_start());
    values.any(|value| !value.starts_with(b"null"))
}

/// The bytes of all strings called `name`.
fn text_length(data: &[u8], name: &Finder<'_>) -> usize {
    let values = name.find_iter(data).map(|at| data[at + name.needle().len()..].trim_ascii_start());
    values.filter_map(|value| value.strip_prefix(b"\"")).map(string_length).sum()
}

/// The bytes up to the quote that ends the string.
fn string_length(string: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr2(b'"', b'\\', &string[at..]) {
        at += found;
        if string[at] == b'"' {
            return at;
        }
        at = (at + 2).min(string.len());
    }
    string.len()
}

#[cfg(test)]
mod tests {
    use super::{Chunk, is_finish};

    fn text(data: &str) -> usize {
        Chunk::read(data.as_bytes()).unwrap().text
    }

    #[test]
    fn text_and_arguments_are_counted() {
        assert_eq!(text(r#"{"choices":[{"delta":{"content":"abc"}}]}"#), 3);
        assert_eq!(text(r#"{"choices": [{"delta": {"content": "a\"b\\"}}], "usage": null}"#), 6);
        assert_eq!(
            text(
                r#"{"choices":[{"delta":{"content":null,"tool_calls":[{"function":{"arguments":"{}"}}]}}]}"#
            ),
            2
        );
        assert_eq!(text(r#"{"choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}"#), 2);
    }

    #[test]
    fn what_an_answer_says_about_usage_or_errors_is_only_text() {
        let chunk = r#"{"choices":[{"delta":{"content":"{\"usage\":1,\"error\":2}"}}]}"#;
        let chunk = Chunk::read(chunk.as_bytes()).unwrap();
        assert_eq!(chunk, Chunk { text: 25, ..Chunk::default() });
    }

    #[test]
    fn usage_is_read_wherever_it_stands() {
        let alone = br#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
        let alone = Chunk::read(alone).unwrap();
        assert!(alone.only_usage && alone.usage.is_some());
        let beside = br#"{"choices":[{"delta":{"content":"a"}}],"usage":{"prompt_tokens":1}}"#;
        let beside = Chunk::read(beside).unwrap();
        assert!(!beside.only_usage && beside.usage.is_some());
    }

    #[test]
    fn errors_and_nonsense_end_the_stream() {
        for data in [
            "{\"id\":\"chatcmpl-",
            "",
            "null",
            "[]",
            r#"{"error":{"message":"x"}}"#,
            r#"{"usage":}"#,
        ] {
            Chunk::read(data.as_bytes()).unwrap_err();
        }
    }

    #[test]
    fn the_end_of_an_answer_is_recognised() {
        assert!(is_finish(br#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#));
        assert!(!is_finish(br#"{"choices":[{"delta":{},"finish_reason":null}]}"#));
    }
}
