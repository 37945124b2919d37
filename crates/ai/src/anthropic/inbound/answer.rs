use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

#[derive(Deserialize)]
struct Completion {
    id: String,
    model: String,
    choices: Vec<Choice>,
    usage: Option<Used>,
    /// The message itself, if the provider speaks the same API.
    anthropic: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    content: Option<String>,
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Value>>,
}

/// `usage` as `OpenAI` reports it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Used {
    prompt_tokens: Option<i64>,
    completion_tokens: Option<i64>,
    prompt_tokens_details: Option<Details>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Details {
    #[serde(rename = "cached_tokens")]
    cached: Option<i64>,
    #[serde(rename = "cache_write_tokens")]
    short: Option<i64>,
    #[serde(rename = "long_cache_write_tokens")]
    long: Option<i64>,
}

impl Used {
    pub(super) fn translate(self) -> Value {
        let details = self.prompt_tokens_details.unwrap_or_default();
        let [cached, short, long] =
            [details.cached, details.short, details.long].map(|tokens| tokens.unwrap_or(0));
        let written = short.saturating_add(long);
        let fresh = self.prompt_tokens.unwrap_or(0).saturating_sub(cached).saturating_sub(written);
        json!({
            "input_tokens": fresh,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": cached,
            "output_tokens": self.completion_tokens.unwrap_or(0),
        })
    }
}

/// The message that says the same as the chat completion `body`; `None` if that is none.
pub(crate) fn message(body: &[u8]) -> Option<Bytes> {
    let completion: Completion = serde_json::from_slice(body).ok()?;
    if let Some(message) = completion.anthropic {
        return Some(Box::<str>::from(message).into_string().into());
    }
    Some(translate(completion)?.to_string().into())
}

fn translate(completion: Completion) -> Option<Value> {
    let Completion { id, model, choices, usage, .. } = completion;
    let Choice { message, finish_reason } = choices.into_iter().next()?;
    let text = message.content.or(message.refusal).filter(|text| !text.is_empty());
    let mut content: Vec<Value> =
        text.into_iter().map(|text| json!({ "type": "text", "text": text })).collect();
    content.extend(message.tool_calls.unwrap_or_default().iter().map(tool_use));
    Some(json!({
        "id": id, "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": stop_reason(finish_reason.as_deref()), "stop_sequence": null,
        "usage": usage.unwrap_or_default().translate(),
    }))
}

/// Arguments that were cut cannot be read; the reason for the end says so.
fn tool_use(call: &Value) -> Value {
    let function = &call["function"];
    let arguments = function["arguments"].as_str().unwrap_or_default();
    let input: Value = serde_json::from_str(arguments).unwrap_or_else(|_| json!({}));
    json!({ "type": "tool_use", "id": call["id"], "name": function["name"], "input": input })
}

pub(super) fn stop_reason(finish_reason: Option<&str>) -> &'static str {
    match finish_reason {
        Some("length") => "max_tokens",
        Some("tool_calls" | "function_call") => "tool_use",
        Some("content_filter") => "refusal",
        _ => "end_turn",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::super::completion, message};

    #[test]
    fn a_message_keeps_its_meaning_on_the_way_there_and_back() {
        let text = json!({ "type": "text", "text": "well" });
        let call = json!({ "type": "tool_use", "id": "t", "name": "f", "input": { "x": [1] } });
        for (content, reason) in [
            (json!([text]), "end_turn"),
            (json!([text]), "max_tokens"),
            (json!([text, call]), "tool_use"),
            (json!([call]), "tool_use"),
            (json!([]), "refusal"),
        ] {
            let said = json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
                "content": content, "stop_reason": reason, "stop_sequence": null,
                "usage": {
                    "input_tokens": 5, "cache_creation_input_tokens": 0,
                    "cache_read_input_tokens": 2, "output_tokens": 3,
                },
            });
            let there = completion(said.to_string().as_bytes(), 0, false).unwrap();
            let back: Value = serde_json::from_slice(&message(&there).unwrap()).unwrap();
            assert_eq!(back, said);
        }
    }

    #[test]
    fn a_message_that_is_carried_arrives_as_it_was() {
        let said = r#"{"id": "msg_1", "model": "m", "content": [], "usage": {}, "new": 1.50}"#;
        let there = completion(said.as_bytes(), 0, true).unwrap();
        assert_eq!(message(&there).unwrap(), said);
    }

    #[test]
    fn what_is_no_completion_is_none() {
        assert!(message(b"{}").is_none());
        assert!(message(br#"{"id":"a","model":"m","choices":[]}"#).is_none());
    }
}
