use serde_json::{Value, json};
use tiktoken_rs::CoreBPE;

use super::{tokens, unique};

const LONGEST_ECHO: usize = 60;

/// What of a request decides the answer, whichever API it came by.
#[derive(Debug)]
pub(super) struct Heard<'a> {
    /// What the user said last.
    pub(super) words: String,
    /// The first of the caller's tools.
    pub(super) tool: Option<&'a str>,
    pub(super) stops: &'a [String],
    pub(super) limit: usize,
}

/// What the model says: a text, or the arguments of a call of one of the caller's tools.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) tool: Option<Tool>,
    pub(super) pieces: Vec<String>,
    pub(super) tokens: i64,
    pub(super) cut: bool,
    /// The stop sequence that ended it.
    pub(super) stopped_by: Option<String>,
}

#[derive(Debug)]
pub(super) struct Tool {
    pub(super) id: String,
    pub(super) name: String,
}

impl Answer {
    pub(super) fn to(heard: &Heard, bpe: &CoreBPE) -> Self {
        if let Some(name) = heard.tool.filter(|_| heard.words.contains("use the tool")) {
            let arguments = json!({ "input": heard.words }).to_string();
            let overhead = tokens::count(bpe, name);
            let answer = Self::spoken(&arguments, heard.limit, bpe);
            let tool = Some(Tool { id: unique("call_"), name: name.to_owned() });
            return Self { tool, tokens: answer.tokens + overhead, ..answer };
        }
        let echo: Vec<&str> = heard.words.split_whitespace().take(LONGEST_ECHO).collect();
        let text = format!("You said: {}", echo.join(" "));
        let found = heard.stops.iter().filter_map(|stop| Some((text.find(stop)?, stop))).min();
        let end = found.map_or(text.len(), |(end, _)| end);
        let answer = Self::spoken(&text[..end], heard.limit, bpe);
        let stopped_by = found.map(|(_, stop)| stop.clone()).filter(|_| !answer.cut);
        Self { stopped_by, ..answer }
    }

    fn spoken(text: &str, limit: usize, bpe: &CoreBPE) -> Self {
        let spoken = bpe.encode_ordinary(text);
        let kept = &spoken[..spoken.len().min(limit)];
        let (mut pieces, mut pending) = (Vec::new(), Vec::new());
        for token in kept {
            pending.extend(bpe.decode_bytes(&[*token]).unwrap_or_default());
            // A character may span tokens; half of one is never sent.
            if let Ok(piece) = str::from_utf8(&pending) {
                pieces.push(piece.to_owned());
                pending.clear();
            }
        }
        let cut = kept.len() < spoken.len();
        let tokens = tokens::to_i64(kept.len());
        Self { tool: None, pieces, tokens, cut, stopped_by: None }
    }

    pub(super) fn finish_reason(&self) -> &'static str {
        match &self.tool {
            _ if self.cut => "length",
            Some(_) => "tool_calls",
            None => "stop",
        }
    }

    pub(super) fn message(&self) -> Value {
        let said = self.pieces.concat();
        match &self.tool {
            None => json!({
                "role": "assistant", "content": said, "refusal": null, "annotations": [],
            }),
            Some(Tool { id, name }) => json!({
                "role": "assistant", "content": null, "refusal": null, "annotations": [],
                "tool_calls": [{
                    "id": id, "type": "function",
                    "function": { "name": name, "arguments": said },
                }],
            }),
        }
    }

    /// The same message as the changes a stream is made of.
    pub(super) fn deltas(&self) -> Vec<Value> {
        let first = match &self.tool {
            None => json!({ "role": "assistant", "content": "", "refusal": null }),
            Some(Tool { id, name }) => json!({
                "role": "assistant", "content": null, "refusal": null,
                "tool_calls": [{
                    "index": 0, "id": id, "type": "function",
                    "function": { "name": name, "arguments": "" },
                }],
            }),
        };
        let rest = self.pieces.iter().map(|piece| match &self.tool {
            None => json!({ "content": piece }),
            Some(_) => json!({
                "tool_calls": [{ "index": 0, "function": { "arguments": piece } }],
            }),
        });
        std::iter::once(first).chain(rest).collect()
    }
}
