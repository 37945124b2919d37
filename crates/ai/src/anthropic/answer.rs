use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

/// A whole answer of the Messages API.
#[derive(Deserialize)]
struct Message {
    id: String,
    model: String,
    content: Vec<Block>,
    stop_reason: Option<String>,
    usage: Used,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
        #[serde(default)]
        input: Value,
    },
    Thinking {
        #[serde(default)]
        thinking: String,
    },
    #[serde(other)]
    Other,
}

/// `usage` as Anthropic reports it: what was cached comes on top of the other input.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Used {
    #[serde(rename = "input_tokens")]
    fresh: Option<i64>,
    #[serde(rename = "cache_creation_input_tokens")]
    written: Option<i64>,
    #[serde(rename = "cache_creation")]
    writes: Option<Writes>,
    #[serde(rename = "cache_read_input_tokens")]
    cached: Option<i64>,
    #[serde(rename = "output_tokens")]
    output: Option<i64>,
}

/// Which part of what was written is to last.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Writes {
    #[serde(rename = "ephemeral_1h_input_tokens")]
    long: Option<i64>,
}

impl Used {
    /// What is known now, where the later report says nothing: reports are totals.
    pub(super) fn or(self, earlier: Self) -> Self {
        Self {
            fresh: self.fresh.or(earlier.fresh),
            written: self.written.or(earlier.written),
            writes: self.writes.or(earlier.writes),
            cached: self.cached.or(earlier.cached),
            output: self.output.or(earlier.output),
        }
    }

    /// As `OpenAI` reports it; `null` if it does not say enough to charge by.
    pub(super) fn translate(self) -> Value {
        let (Some(fresh), Some(output)) = (self.fresh, self.output) else { return Value::Null };
        let (cached, written) = (self.cached.unwrap_or(0), self.written.unwrap_or(0));
        let long = self.writes.and_then(|it| it.long).unwrap_or(0).clamp(0, written.max(0));
        let input = fresh.saturating_add(written).saturating_add(cached);
        json!({
            "prompt_tokens": input,
            "completion_tokens": output,
            "total_tokens": input.saturating_add(output),
            "prompt_tokens_details": {
                "cached_tokens": cached,
                "cache_write_tokens": written.saturating_sub(long),
                "long_cache_write_tokens": long,
            },
        })
    }
}

/// Words in `OpenAI`'s shape, together with the original.
#[derive(Serialize)]
pub(super) struct Carrying<'a> {
    #[serde(flatten)]
    pub(super) translated: &'a Value,
    pub(super) anthropic: &'a RawValue,
}

/// The chat completion, made at `created`, that says the same as the answer `body`; `None` if that
/// is no answer.
pub(crate) fn completion(body: &[u8], created: i64, carrying: bool) -> Option<Bytes> {
    let translated = translate(serde_json::from_slice(body).ok()?, created);
    let written = if carrying {
        let anthropic = serde_json::from_slice(body).ok()?;
        serde_json::to_vec(&Carrying { translated: &translated, anthropic })
    } else {
        serde_json::to_vec(&translated)
    };
    written.ok().map(Bytes::from)
}

fn translate(message: Message, created: i64) -> Value {
    let Message { id, model, content, stop_reason, usage } = message;
    let (mut said, mut thought, mut calls) = (String::new(), String::new(), Vec::new());
    for block in content {
        match block {
            Block::Text { text } => said += &text,
            Block::Thinking { thinking } => thought += &thinking,
            Block::ToolUse { id, name, input } => calls.push(json!({
                "id": id, "type": "function",
                "function": { "name": name, "arguments": input.to_string() },
            })),
            Block::Other => {}
        }
    }
    let content = if said.is_empty() && !calls.is_empty() { Value::Null } else { said.into() };
    let mut message = json!({ "role": "assistant", "content": content, "refusal": null });
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    if !thought.is_empty() {
        message["reasoning_content"] = thought.into();
    }
    json!({
        "id": id, "object": "chat.completion", "created": created, "model": model,
        "choices": [{
            "index": 0, "message": message, "logprobs": null,
            "finish_reason": finish_reason(stop_reason.as_deref()),
        }],
        "usage": usage.translate(),
    })
}

pub(super) fn finish_reason(stop_reason: Option<&str>) -> &'static str {
    match stop_reason {
        Some("max_tokens" | "model_context_window_exceeded") => "length",
        Some("tool_use") => "tool_calls",
        Some("refusal") => "content_filter",
        _ => "stop",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{completion, finish_reason};

    fn message(content: Value, usage: Value) -> Value {
        let message = json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x",
            "content": content, "stop_reason": "end_turn", "stop_sequence": null, "usage": usage,
        });
        let answer = completion(message.to_string().as_bytes(), 7, false).unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    #[test]
    fn what_was_said_thought_and_called_arrives() {
        let answer = message(
            json!([
                { "type": "thinking", "thinking": "hm", "signature": "s" },
                { "type": "redacted_thinking", "data": "x" },
                { "type": "text", "text": "one " },
                { "type": "text", "text": "two" },
                { "type": "tool_use", "id": "t", "name": "f", "input": { "a": 1 } },
            ]),
            json!({ "input_tokens": 1, "output_tokens": 2 }),
        );
        assert_eq!(
            answer["choices"][0]["message"],
            json!({
                "role": "assistant", "content": "one two", "refusal": null,
                "reasoning_content": "hm",
                "tool_calls": [{
                    "id": "t", "type": "function",
                    "function": { "name": "f", "arguments": "{\"a\":1}" },
                }],
            })
        );
        assert_eq!((&answer["created"], &answer["id"]), (&json!(7), &json!("msg_1")));
    }

    #[test]
    fn cached_input_is_a_part_of_the_prompt() {
        let usage = json!({
            "input_tokens": 10, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 30,
            "cache_creation": { "ephemeral_5m_input_tokens": 15, "ephemeral_1h_input_tokens": 5 },
            "output_tokens": 4,
        });
        assert_eq!(
            message(json!([]), usage)["usage"],
            json!({
                "prompt_tokens": 60, "completion_tokens": 4, "total_tokens": 64,
                "prompt_tokens_details": {
                    "cached_tokens": 30, "cache_write_tokens": 15, "long_cache_write_tokens": 5,
                },
            })
        );
        assert_eq!(message(json!([]), json!({ "input_tokens": 1 }))["usage"], Value::Null);
    }

    #[test]
    fn the_reason_for_the_end_is_translated() {
        for (theirs, ours) in [
            ("end_turn", "stop"),
            ("stop_sequence", "stop"),
            ("max_tokens", "length"),
            ("tool_use", "tool_calls"),
            ("refusal", "content_filter"),
            ("one_of_tomorrow", "stop"),
        ] {
            assert_eq!(finish_reason(Some(theirs)), ours);
        }
    }

    #[test]
    fn what_is_no_answer_is_none() {
        assert!(completion(b"{}", 0, false).is_none());
        assert!(completion(b"{\"type\":\"error\"}", 0, true).is_none());
    }
}
