use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// How many calls a batch may have.
const MOST: usize = 10_000;
/// The longest name of a call.
const LONGEST_ID: usize = 512;
/// How many mistakes are told.
const TOLD: usize = 100;

/// A call of a batch.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) custom_id: String,
    /// The body of the request, as it was written.
    pub(super) request: &'a str,
}

/// A mistake in a file that was to be a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AiBatchError)]
pub(super) struct Mistake {
    code: String,
    message: String,
    /// The line, from 1.
    line: Option<usize>,
    /// The member.
    param: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    custom_id: String,
    method: String,
    url: String,
    #[serde(borrow)]
    body: &'a RawValue,
}

impl Mistake {
    fn new(code: &str, line: usize, param: &str, message: impl Into<String>) -> Self {
        let param = (!param.is_empty()).then(|| param.to_owned());
        Self { code: code.to_owned(), message: message.into(), line: Some(line), param }
    }

    fn of_all(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), line: None, param: None }
    }
}

/// The calls in a file, all of which must go to `endpoint`. Whether each can be made is found out when
/// its turn comes.
pub(super) fn read<'a>(content: &'a [u8], endpoint: &str) -> Result<Vec<Line<'a>>, Vec<Mistake>> {
    let text = std::str::from_utf8(content)
        .map_err(|_| vec![Mistake::of_all("invalid_file", "the file must be UTF-8")])?;
    if text.contains('\0') {
        return Err(vec![Mistake::of_all("invalid_file", "the file contains U+0000")]);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let written = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (mut lines, mut mistakes, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for (at, line) in written {
        match one(line, at + 1, endpoint) {
            Ok(line) if seen.insert(line.custom_id.clone()) => lines.push(line),
            Ok(line) => {
                let message = format!("{:?} was there before", line.custom_id);
                mistakes.push(Mistake::new("duplicate_custom_id", at + 1, "custom_id", message));
            }
            Err(mistake) => mistakes.push(mistake),
        }
        if lines.len() > MOST {
            let message = format!("a batch has at most {MOST} requests");
            return Err(vec![Mistake::of_all("too_many_requests", message)]);
        }
        if mistakes.len() >= TOLD {
            break;
        }
    }
    if lines.is_empty() && mistakes.is_empty() {
        mistakes.push(Mistake::of_all("empty_file", "the file contains no request"));
    }
    if mistakes.is_empty() { Ok(lines) } else { Err(mistakes) }
}

fn one<'a>(line: &'a str, at: usize, endpoint: &str) -> Result<Line<'a>, Mistake> {
    let written: Written<'_> = serde_json::from_str(line)
        .map_err(|error| Mistake::new("invalid_json_line", at, "", error.to_string()))?;
    let wrong =
        |param: &str, message: &str| Err(Mistake::new("invalid_request", at, param, message));
    let Written { custom_id, method, url, body } = written;
    if custom_id.is_empty() || custom_id.len() > LONGEST_ID {
        return wrong("custom_id", "must have 1 to 512 bytes");
    }
    if method != "POST" {
        return wrong("method", "must be POST");
    }
    if url != endpoint {
        return wrong("url", "must be the endpoint of the batch");
    }
    if !body.get().starts_with('{') {
        return wrong("body", "must be an object");
    }
    Ok(Line { custom_id, request: body.get() })
}

#[cfg(test)]
mod tests {
    use super::read;

    const CHAT: &str = "/v1/chat/completions";

    fn line(id: &str) -> String {
        format!(r#"{{"custom_id":"{id}","method":"POST","url":"{CHAT}","body":{{"model":"m"}}}}"#)
    }

    fn codes(text: &str) -> Vec<String> {
        read(text.as_bytes(), CHAT).unwrap_err().into_iter().map(|it| it.code).collect()
    }

    #[test]
    fn calls_keep_their_order_and_their_words() {
        let text = format!("\u{feff}{}\r\n\n{}\n", line("b"), line("a"));
        let lines = read(text.as_bytes(), CHAT).unwrap();
        let ids: Vec<_> = lines.iter().map(|it| it.custom_id.as_str()).collect();
        assert_eq!(ids, ["b", "a"]);
        assert_eq!(lines[0].request, r#"{"model":"m"}"#);
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = [&line("a"), "{", &line("a"), &line(""), &line("b").replace("POST", "GET")];
        let mistakes = read(text.map(str::to_owned).join("\n").as_bytes(), CHAT).unwrap_err();
        let told: Vec<_> = mistakes.iter().map(|it| (it.code.as_str(), it.line)).collect();
        assert_eq!(
            told,
            [
                ("invalid_json_line", Some(2)),
                ("duplicate_custom_id", Some(3)),
                ("invalid_request", Some(4)),
                ("invalid_request", Some(5)),
            ]
        );
    }

    #[test]
    fn what_is_no_batch_says_why() {
        assert_eq!(codes(" \n"), ["empty_file"]);
        assert_eq!(codes(&line("a").replace(CHAT, "/v1/embeddings")), ["invalid_request"]);
        assert_eq!(codes(&line("a").replace(r#"{"model":"m"}"#, "[]")), ["invalid_request"]);
        assert_eq!(
            codes(&(0..=10_000).map(|n| line(&n.to_string()) + "\n").collect::<String>()),
            ["too_many_requests"]
        );
        assert_eq!(read(&[0xff], CHAT).unwrap_err()[0].code, "invalid_file");
    }
}
