use serde::Deserialize;
use serde_json::{Map, Value};
use usage::Quantities;
use utoipa::ToSchema;
use web::Problem;

use crate::{
    caching::Caching,
    request::{prompt_tokens_at_most, within},
};

/// A Messages request of which every part has a known price. Anything else is refused: a hosted
/// tool, a priority tier or a document would cost more than was reserved.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct MessagesRequest {
    /// A model of `GET /v1/models`.
    #[schema(example = "claude-haiku-4-5")]
    pub(crate) model: String,
    /// The most tokens of the answer.
    #[schema(minimum = 1, example = 1024)]
    pub(crate) max_tokens: i64,
    /// The conversation, as Anthropic documents it: texts, images, and calls of tools with their results.
    #[schema(value_type = Vec<Object>)]
    pub(super) messages: Vec<Value>,
    /// Instructions.
    #[schema(value_type = Option<Object>)]
    pub(super) system: Option<Value>,
    /// Whether to answer as server-sent events.
    #[serde(default)]
    pub(crate) stream: bool,
    /// Tools of the caller's own.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Object>>)]
    pub(super) tools: Vec<Value>,
    /// Everything else that was given.
    #[serde(flatten)]
    #[schema(ignore)]
    pub(super) others: Map<String, Value>,
}

/// Parameters that do not change what a token costs.
const PASSED_ON: &[&str] = &[
    "cache_control",
    "metadata",
    "output_config",
    "stop_sequences",
    "temperature",
    "thinking",
    "tool_choice",
    "top_k",
    "top_p",
];

/// Where a prompt is to be cached up to there.
const CONTROL: &str = "cache_control";

/// Parts whose cost is known, and their members.
const BLOCKS: &[(&str, &[&str])] = &[
    ("text", &["type", "text", "citations", "cache_control"]),
    ("image", &["type", "source", "cache_control"]),
    ("tool_use", &["type", "id", "name", "input", "caller", "cache_control"]),
    ("tool_result", &["type", "tool_use_id", "content", "is_error", "cache_control"]),
    ("thinking", &["type", "thinking", "signature"]),
    ("redacted_thinking", &["type", "data"]),
];

const TOOL: &[&str] = &[
    "type",
    "name",
    "description",
    "input_schema",
    "input_examples",
    "strict",
    "eager_input_streaming",
    "cache_control",
];

impl MessagesRequest {
    /// Refuses what is not known to leave the price of a token alone; answers what is to be cached, whose
    /// price is known.
    pub(crate) fn check(&self) -> Result<Caching, Problem> {
        if let Some(name) = self.others.keys().find(|name| !PASSED_ON.contains(&name.as_str())) {
            return Err(refused(&format!("/{name}")));
        }
        let mut caching = asked("", self.others.get(CONTROL).unwrap_or(&Value::Null))?;
        if let Some(system) = &self.system {
            caching = caching.max(check_blocks("/system", system)?);
        }
        for (at, turn) in self.messages.iter().enumerate() {
            let pointer = format!("/messages/{at}");
            check_members(&pointer, turn, &["role", "content"])?;
            let content = check_blocks(&format!("{pointer}/content"), &turn["content"])?;
            caching = caching.max(content);
        }
        for (at, tool) in self.tools.iter().enumerate() {
            let pointer = format!("/tools/{at}");
            check_members(&pointer, tool, TOOL)?;
            if !matches!(tool["type"].as_str(), None | Some("custom")) {
                return Err(refused(&format!("{pointer}/type")));
            }
            caching = caching.max(asked(&pointer, &tool[CONTROL])?);
        }
        Ok(caching)
    }

    /// The most that the request, of so many `bytes`, can use.
    pub(crate) fn at_most(&self, bytes: usize) -> Result<Quantities, Problem> {
        let (text, count) = self.size(bytes);
        let text = i64::try_from(text).unwrap_or(i64::MAX);
        let told = !self.tools.is_empty() || self.others.contains_key("output_config");
        Ok(Quantities {
            input_tokens: prompt_tokens_at_most(text, count, told),
            output_tokens: within("/max_tokens", self.max_tokens, 10_000_000)?,
            ..Quantities::default()
        })
    }

    /// How many of the request's `bytes` are text, and how many images there are.
    pub(crate) fn size(&self, bytes: usize) -> (usize, i64) {
        let images = self.images().map(|source| source.to_string().len());
        let (count, of_images) = images.fold((0, 0), |(count, sum), it| (count + 1, sum + it));
        (bytes.saturating_sub(of_images), count)
    }

    /// Where every image of the prompt is.
    fn images(&self) -> impl Iterator<Item = &Value> {
        let blocks = self.messages.iter().flat_map(|turn| blocks(&turn["content"]));
        let with_results =
            blocks.flat_map(|block| std::iter::once(block).chain(blocks_of_result(block)));
        with_results.filter(|block| block["type"] == "image").map(|block| &block["source"])
    }
}

pub(super) fn blocks(content: &Value) -> impl Iterator<Item = &Value> {
    content.as_array().into_iter().flatten()
}

fn blocks_of_result(block: &Value) -> impl Iterator<Item = &Value> {
    blocks(&block["content"]).filter(|_| block["type"] == "tool_result")
}

fn check_blocks(pointer: &str, content: &Value) -> Result<Caching, Problem> {
    let mut caching = Caching::None;
    for (at, block) in blocks(content).enumerate() {
        let pointer = format!("{pointer}/{at}");
        let known = BLOCKS.iter().find(|(kind, _)| block["type"] == *kind);
        let (kind, members) = known.ok_or_else(|| refused(&format!("{pointer}/type")))?;
        check_members(&pointer, block, members)?;
        caching = caching.max(asked(&pointer, &block[CONTROL])?);
        match *kind {
            "tool_result" => {
                let content = check_blocks(&format!("{pointer}/content"), &block["content"])?;
                caching = caching.max(content);
            }
            "image" if block["source"]["type"] != "base64" && block["source"]["type"] != "url" => {
                return Err(refused(&format!("{pointer}/source")));
            }
            _ => {}
        }
    }
    Ok(caching)
}

fn asked(pointer: &str, control: &Value) -> Result<Caching, Problem> {
    Caching::asked(&format!("{pointer}/{CONTROL}"), control)
}

fn check_members(pointer: &str, value: &Value, known: &[&str]) -> Result<(), Problem> {
    let object = value.as_object();
    let object = object.ok_or_else(|| Problem::invalid_field(pointer, "must be an object"))?;
    let unknown =
        object.iter().find(|(name, value)| !known.contains(&name.as_str()) && !value.is_null());
    match unknown {
        None => Ok(()),
        Some((name, _)) => Err(refused(&format!("{pointer}/{name}"))),
    }
}

fn refused(pointer: &str) -> Problem {
    Problem::invalid_field(pointer, "is not passed on, since it may change what a call costs")
        .action("Leave it out.")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::MessagesRequest;
    use crate::caching::Caching;

    fn check(more: Value) -> Option<String> {
        let mut request = json!({
            "model": "m", "max_tokens": 1, "messages": [{ "role": "user", "content": "hello" }],
        });
        request.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
        let request: MessagesRequest = serde_json::from_value(request).unwrap();
        request.check().err().map(|problem| problem.detail.into_owned())
    }

    fn turn(block: Value) -> Value {
        json!({ "messages": [{ "role": "user", "content": [block] }] })
    }

    #[test]
    fn what_may_change_the_price_is_refused_by_name_wherever_it_stands() {
        let cached =
            json!({ "type": "text", "text": "a", "cache_control": { "type": "for ever" } });
        let result = json!({ "type": "tool_result", "tool_use_id": "a", "content": [cached] });
        for (request, pointer) in [
            (json!({ "service_tier": "auto" }), "/service_tier"),
            (json!({ "mcp_servers": [] }), "/mcp_servers"),
            (json!({ "system": [cached] }), "/system/0/cache_control"),
            (turn(cached.clone()), "/messages/0/content/0/cache_control"),
            (turn(result), "/messages/0/content/0/content/0/cache_control"),
            (turn(json!({ "type": "document" })), "/messages/0/content/0/type"),
            (
                turn(json!({ "type": "image", "source": { "type": "file" } })),
                "/messages/0/content/0/source",
            ),
            (json!({ "speed": "fast" }), "/speed"),
            (json!({ "tools": [{ "type": "web_search_20250305", "name": "a" }] }), "/tools/0/type"),
            (json!({ "tools": [{ "name": "a", "cache_control": {} }] }), "/tools/0/cache_control"),
        ] {
            let refused = check(request.clone());
            assert!(refused.is_some_and(|detail| detail.starts_with(pointer)), "{request}");
        }
    }

    #[test]
    fn what_is_to_be_cached_longest_counts_wherever_it_stands() {
        let control = |ttl: &str| json!({ "type": "ephemeral", "ttl": ttl });
        let text =
            |ttl: &str| json!({ "type": "text", "text": "a", "cache_control": control(ttl) });
        let result = json!({ "type": "tool_result", "tool_use_id": "a", "content": [text("1h")] });
        for (more, caching) in [
            (json!({}), Caching::None),
            (json!({ "cache_control": { "type": "ephemeral" } }), Caching::Short),
            (json!({ "system": [text("5m")] }), Caching::Short),
            (json!({ "tools": [{ "name": "a", "cache_control": control("1h") }] }), Caching::Long),
            (
                json!({ "messages": [{ "role": "user", "content": [text("5m"), result] }] }),
                Caching::Long,
            ),
        ] {
            let mut request = json!({ "model": "m", "max_tokens": 1, "messages": [] });
            request.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
            let request: MessagesRequest = serde_json::from_value(request).unwrap();
            assert_eq!(request.check().unwrap(), caching, "{more}");
        }
    }

    #[test]
    fn what_has_a_known_price_is_passed_on() {
        assert_eq!(check(json!({ "top_k": 4, "thinking": { "type": "disabled" } })), None);
        assert_eq!(check(turn(json!({ "type": "text", "text": "a", "citations": null }))), None);
        assert_eq!(
            check(json!({ "tools": [{ "type": "custom", "name": "a", "input_schema": {} }] })),
            None
        );
    }

    #[test]
    fn images_are_found_in_the_results_of_tools_too() {
        let image = json!({ "type": "image", "source": { "type": "url", "url": "https://a" } });
        let result = json!({ "type": "tool_result", "tool_use_id": "a", "content": [image] });
        let request = json!({
            "model": "m", "max_tokens": 1,
            "messages": [{ "role": "user", "content": [image, result] }],
        });
        let request: MessagesRequest = serde_json::from_value(request).unwrap();
        assert_eq!(request.images().count(), 2);
    }
}
