use serde_json::{Value, json};
use tiktoken_rs::CoreBPE;

use super::{
    super::{
        Usage,
        answer::{Answer, Heard, Tool},
        tokens, unique,
    },
    request::MessagesRequest,
};

const THOUGHT: &str = "They said something; I repeat it.";

/// A finished answer, before it is decided how it travels.
#[derive(Debug)]
pub(super) struct Message {
    id: String,
    model: &'static str,
    pub(super) thinks: bool,
    pub(super) answer: Answer,
    pub(super) usage: Usage,
    pub(super) streams: bool,
}

impl Message {
    /// The answer to `request`, whose prompt may have been `cached` up to its mark.
    pub(super) fn to(request: MessagesRequest, cached: bool, bpe: &CoreBPE) -> Self {
        let heard = Heard {
            words: request.last_words(),
            tool: request.tool(),
            stops: &request.stop_sequences,
            limit: request.max_tokens,
        };
        let mut answer = Answer::to(&heard, bpe);
        if let Some(tool) = &mut answer.tool {
            tool.id = unique("toolu_");
        }
        let thought = if request.thinks() { tokens::count(bpe, THOUGHT) } else { 0 };
        Self {
            id: unique("msg_"),
            model: request.snapshot().unwrap_or("claude"),
            thinks: request.thinks(),
            usage: request.usage(cached, answer.tokens + thought, bpe),
            answer,
            streams: request.stream,
        }
    }

    /// The message without what it says.
    pub(super) fn envelope(&self, usage: &Value) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": usage,
        })
    }

    pub(super) fn body(&self, usage: Usage) -> Value {
        let said = self.answer.pieces.concat();
        let said = match &self.answer.tool {
            None => json!({ "type": "text", "text": said }),
            Some(Tool { id, name }) => {
                // A call that was cut has no arguments that could be read.
                let input: Value = serde_json::from_str(&said).unwrap_or_else(|_| json!({}));
                json!({ "type": "tool_use", "id": id, "name": name, "input": input })
            }
        };
        let thought = json!({ "type": "thinking", "thinking": THOUGHT, "signature": "c2lnbmVk" });
        let mut body = self.envelope(&usage_of(usage));
        body["content"] = if self.thinks { json!([thought, said]) } else { json!([said]) };
        body["stop_reason"] = self.stop_reason().into();
        body["stop_sequence"] = self.answer.stopped_by.clone().into();
        body
    }

    pub(super) fn stop_reason(&self) -> &'static str {
        match &self.answer {
            answer if answer.cut => "max_tokens",
            answer if answer.tool.is_some() => "tool_use",
            answer if answer.stopped_by.is_some() => "stop_sequence",
            _ => "end_turn",
        }
    }

    /// What it thinks, in pieces.
    pub(super) fn thoughts(&self) -> impl Iterator<Item = &'static str> {
        THOUGHT.split_inclusive(' ').filter(|_| self.thinks)
    }
}

pub(super) fn usage_of(usage: Usage) -> Value {
    let (short, long) = (usage.cache_write_tokens, usage.long_cache_write_tokens);
    let written = short.saturating_add(long);
    json!({
        "input_tokens":
            usage.prompt_tokens.saturating_sub(usage.cached_tokens).saturating_sub(written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation": { "ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long },
        "output_tokens": usage.completion_tokens,
        "service_tier": "standard",
    })
}
