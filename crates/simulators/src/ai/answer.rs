use serde_json::{Value, json};
use tiktoken_rs::CoreBPE;

use super::{request::ChatRequest, tokens, unique};

const LONGEST_ECHO: usize = 60;

/// What the model says: a text, or the arguments of a call of one of the caller's tools.
#[derive(Debug)]
pub(super) struct Answer {
    tool: Option<Tool>,
    pieces: Vec<String>,
    pub(super) tokens: i64,
    cut: bool,
}

#[derive(Debug)]
struct Tool {
    id: String,
    name: String,
}

impl Answer {
    pub(super) fn of(request: &ChatRequest, bpe: &CoreBPE) -> Self {
        let heard = request.last_words();
        let limit = request.limit().unwrap_or(usize::MAX);
        let tool = request.tools().first().filter(|_| heard.contains("use the tool"));
        if let Some(tool) = tool {
            let name = tool["function"]["name"].as_str().unwrap_or_default().to_owned();
            let arguments = json!({ "input": heard }).to_string();
            let overhead = tokens::count(bpe, &name);
            let answer = Self::spoken(&arguments, limit, bpe);
            let tool = Some(Tool { id: unique("call_"), name });
            return Self { tool, tokens: answer.tokens + overhead, ..answer };
        }
        let echo: Vec<&str> = heard.split_whitespace().take(LONGEST_ECHO).collect();
        let text = format!("You said: {}", echo.join(" "));
        let end = request.stops().iter().filter_map(|stop| text.find(stop)).min();
        Self::spoken(&text[..end.unwrap_or(text.len())], limit, bpe)
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
        Self { tool: None, pieces, tokens: tokens::to_i64(kept.len()), cut }
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
