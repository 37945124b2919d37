use serde_json::{Value, json};
use web::Problem;

use super::{super::request::unsupported, checked::blocks};

/// The system message, if there are instructions.
pub(super) fn instructions(system: &Value) -> Option<Value> {
    let content = words(system);
    (!content.is_empty()).then(|| json!({ "role": "system", "content": content }))
}

/// Adds what a turn of the Messages API is: results of tools are messages of their own there.
pub(super) fn turns(at: usize, turn: &Value, messages: &mut Vec<Value>) -> Result<(), Problem> {
    match (turn["role"].as_str(), &turn["content"]) {
        (Some("assistant"), content) => messages.push(assistant(content)),
        (Some("system"), content) => messages.extend(instructions(content)),
        (Some("user"), Value::String(text)) => {
            messages.push(json!({ "role": "user", "content": text }));
        }
        (Some("user"), content) => user(at, content, messages)?,
        _ => {
            let pointer = format!("/messages/{at}/role");
            return Err(Problem::invalid_field(&pointer, "must be user, assistant or system"));
        }
    }
    Ok(())
}

fn user(at: usize, content: &Value, messages: &mut Vec<Value>) -> Result<(), Problem> {
    let mut parts = Vec::new();
    for block in blocks(content) {
        match block["type"].as_str() {
            Some("tool_result") => messages.push(json!({
                "role": "tool",
                "tool_call_id": block["tool_use_id"],
                "content": result(at, &block["content"])?,
            })),
            Some("image") => parts.push(image(&block["source"])),
            _ => parts.push(json!({ "type": "text", "text": block["text"] })),
        }
    }
    if !parts.is_empty() {
        messages.push(json!({ "role": "user", "content": parts }));
    }
    Ok(())
}

fn result(at: usize, content: &Value) -> Result<String, Problem> {
    if blocks(content).any(|block| block["type"] == "image") {
        let pointer = format!("/messages/{at}/content");
        return Err(unsupported(&pointer, "has a tool's image, which this model cannot see"));
    }
    Ok(words(content))
}

fn image(source: &Value) -> Value {
    let text = |name: &str| source[name].as_str().unwrap_or_default();
    let url = match source["type"].as_str() {
        Some("base64") => format!("data:{};base64,{}", text("media_type"), text("data")),
        _ => text("url").to_owned(),
    };
    json!({ "type": "image_url", "image_url": { "url": url } })
}

/// Without what a model thought: its signature means nothing to another.
fn assistant(content: &Value) -> Value {
    let calls = blocks(content).filter(|block| block["type"] == "tool_use").map(|block| {
        let function = json!({ "name": block["name"], "arguments": block["input"].to_string() });
        json!({ "id": block["id"], "type": "function", "function": function })
    });
    let (calls, said): (Vec<Value>, String) = (calls.collect(), words(content));
    let content = if said.is_empty() { Value::Null } else { said.into() };
    let mut message = json!({ "role": "assistant", "content": content });
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    message
}

/// All text of a content.
fn words(content: &Value) -> String {
    match content.as_str() {
        Some(text) => text.to_owned(),
        None => blocks(content).filter_map(|block| block["text"].as_str()).collect(),
    }
}
