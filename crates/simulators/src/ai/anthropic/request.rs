use serde::{Deserialize, Serialize};
use serde_json::Value;
use tiktoken_rs::CoreBPE;

use super::super::{Usage, error::ApiError, request::parse, tokens};

/// A model alias, and the dated name that answers carry.
const MODELS: [(&str, &str); 5] = [
    ("claude-haiku-4-5", "claude-haiku-4-5-20251001"),
    ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929"),
    ("claude-opus-4-5", "claude-opus-4-5-20251101"),
    ("claude-sonnet-5-5", "claude-sonnet-5-5"),
    ("claude-opus-5-5", "claude-opus-5-5"),
];

/// The body of a Messages request, as far as it matters here.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct MessagesRequest {
    model: String,
    pub(super) max_tokens: usize,
    messages: Vec<Turn>,
    system: Option<Value>,
    #[serde(default)]
    pub(super) stop_sequences: Vec<String>,
    #[serde(default)]
    pub(super) stream: bool,
    #[serde(default)]
    tools: Vec<Value>,
    thinking: Option<Value>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
struct Turn {
    role: String,
    content: Value,
}

impl MessagesRequest {
    pub(super) fn parse(body: Value) -> Result<Self, ApiError> {
        let request: Self = parse(body, &ARGUMENTS)?;
        let refuse = |message: &str| Err(ApiError::invalid(None, message));
        if request.max_tokens == 0 {
            return refuse("max_tokens: Input should be greater than or equal to 1");
        }
        let Some(first) = request.messages.first() else {
            return refuse("messages: at least one message is required");
        };
        if first.role != "user" {
            return refuse("messages: first message must use the \"user\" role");
        }
        for turn in &request.messages {
            if !["user", "assistant", "system"].contains(&turn.role.as_str()) {
                return refuse("messages: Unexpected role. Use \"user\" or \"assistant\".");
            }
            if blocks(&turn.content).any(|block| block["text"] == "") {
                return refuse("messages: text content blocks must be non-empty");
            }
        }
        request.snapshot()?;
        request.check_tool_results()?;
        Ok(request)
    }

    /// Every call of a tool must be answered by the very next turn, before anything else in it.
    fn check_tool_results(&self) -> Result<(), ApiError> {
        for pair in self.messages.windows(2) {
            let calls = blocks(&pair[0].content).filter(|block| block["type"] == "tool_use");
            let results =
                blocks(&pair[1].content).take_while(|block| block["type"] == "tool_result");
            let answered: Vec<&Value> = results.map(|block| &block["tool_use_id"]).collect();
            if calls.map(|block| &block["id"]).any(|id| !answered.contains(&id)) {
                let message = "messages: `tool_use` ids were found without `tool_result` blocks \
                               immediately after";
                return Err(ApiError::invalid(None, message));
            }
        }
        Ok(())
    }

    pub(super) fn snapshot(&self) -> Result<&'static str, ApiError> {
        let found = MODELS.iter().find(|(alias, dated)| [*alias, *dated].contains(&&*self.model));
        found.map(|(_, dated)| *dated).ok_or_else(|| ApiError::unknown_model(&self.model))
    }

    pub(super) fn thinks(&self) -> bool {
        self.thinking.as_ref().is_some_and(|thinking| thinking["type"] != "disabled")
    }

    /// The first tool.
    pub(super) fn tool(&self) -> Option<&str> {
        self.tools.first()?["name"].as_str()
    }

    /// What the user said last.
    pub(super) fn last_words(&self) -> String {
        let last = self.messages.iter().rfind(|turn| turn.role == "user");
        last.map(|turn| words(&turn.content)).unwrap_or_default()
    }

    /// The prompt up to the last mark for the cache, if there is one. However short it is; Anthropic caches
    /// none below a thousand tokens.
    pub(super) fn prefix(&self) -> Option<String> {
        serde_json::to_string(&self.cut()?.0).ok()
    }

    /// What is used, and what of it is read from the cache or written into it.
    pub(super) fn usage(&self, cached: bool, answer: i64, bpe: &CoreBPE) -> Usage {
        let usage = Usage::new(self.tokens(bpe), answer);
        let Some((prefix, control)) = self.cut() else { return usage };
        let tokens = prefix.tokens(bpe).min(usage.prompt_tokens);
        match control["ttl"].as_str() {
            _ if cached => Usage { cached_tokens: tokens, ..usage },
            Some("1h") => Usage { long_cache_write_tokens: tokens, ..usage },
            _ => Usage { cache_write_tokens: tokens, ..usage },
        }
    }

    /// The request up to the last mark, and the mark.
    fn cut(&self) -> Option<(Self, Value)> {
        let mut prefix = Self { max_tokens: 1, stream: false, ..self.clone() };
        while let Some(turn) = prefix.messages.last_mut() {
            while let Some(block) = turn.content.as_array().and_then(|it| it.last()) {
                if let Some(control) = mark(block) {
                    return Some((prefix, control));
                }
                turn.content.as_array_mut()?.pop();
            }
            prefix.messages.pop();
        }
        let system = prefix.system.as_ref().and_then(|it| blocks(it).last()).and_then(mark);
        let control = system.or_else(|| prefix.tools.last().and_then(mark))?;
        Some((prefix, control))
    }

    /// How many tokens the prompt has, with images at their usual size.
    pub(super) fn tokens(&self, bpe: &CoreBPE) -> i64 {
        const FRAME: i64 = 3;
        const IMAGE: i64 = 1_600;
        let turns: i64 = self
            .messages
            .iter()
            .map(|turn| {
                let blocks: i64 = blocks(&turn.content)
                    .map(|block| match &block["source"] {
                        Value::Null => tokens::count(bpe, &block.to_string()),
                        _ => IMAGE,
                    })
                    .sum();
                FRAME + blocks + turn.content.as_str().map_or(0, |text| tokens::count(bpe, text))
            })
            .sum();
        let count = |value: &Value| tokens::count(bpe, &value.to_string());
        turns + self.system.as_ref().map_or(0, count) + self.tools.iter().map(count).sum::<i64>()
    }
}

fn mark(block: &Value) -> Option<Value> {
    block.get("cache_control").filter(|it| !it.is_null()).cloned()
}

fn blocks(content: &Value) -> impl Iterator<Item = &Value> {
    content.as_array().into_iter().flatten()
}

/// All text of a content, results of tools included.
fn words(content: &Value) -> String {
    if let Some(text) = content.as_str() {
        return text.to_owned();
    }
    let texts = blocks(content).map(|block| match block["text"].as_str() {
        Some(text) => text.to_owned(),
        None => words(&block["content"]),
    });
    texts.collect::<Vec<_>>().join(" ")
}

const ARGUMENTS: [&str; 20] = [
    "cache_control",
    "container",
    "context_management",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "service_tier",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];
