use serde::Deserialize;
use serde_json::{Value, json};
use web::Problem;

use super::request::unsupported;

/// A message of a chat completion request.
#[derive(Deserialize)]
pub(super) struct Turn {
    role: Role,
    content: Option<Content>,
    #[serde(default)]
    tool_calls: Vec<ToolCall>,
    tool_call_id: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    Text { text: String, cache_control: Option<Value> },
    Refusal { refusal: String },
    ImageUrl { image_url: ImageUrl, cache_control: Option<Value> },
}

#[derive(Deserialize)]
struct ImageUrl {
    url: String,
}

#[derive(Deserialize)]
struct ToolCall {
    id: String,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    arguments: String,
}

/// The turns as the Messages API wants them: instructions apart, two speakers who alternate, and the
/// results of tools in the user's next turn.
#[derive(Default)]
pub(super) struct Conversation {
    pub(super) system: Vec<Value>,
    pub(super) messages: Vec<Value>,
}

impl Conversation {
    pub(super) fn read(turns: Vec<Turn>) -> Result<Self, Problem> {
        let mut conversation = Self::default();
        for (at, turn) in turns.into_iter().enumerate() {
            conversation.add(at, turn)?;
        }
        Ok(conversation)
    }

    fn add(&mut self, at: usize, turn: Turn) -> Result<(), Problem> {
        let mut blocks = turn.content.map(Content::blocks).transpose()?.unwrap_or_default();
        match turn.role {
            Role::System | Role::Developer => self.system.append(&mut blocks),
            Role::User => self.say("user", blocks),
            Role::Assistant => {
                for call in turn.tool_calls {
                    blocks.push(call.translate(at)?);
                }
                self.say("assistant", blocks);
            }
            Role::Tool => {
                let result = json!({
                    "type": "tool_result", "tool_use_id": turn.tool_call_id, "content": blocks,
                });
                self.say("user", vec![result]);
            }
        }
        Ok(())
    }

    /// One speaker's turns in a row are one turn.
    fn say(&mut self, role: &str, mut blocks: Vec<Value>) {
        if blocks.is_empty() {
            return;
        }
        let last = self.messages.last_mut().filter(|last| last["role"] == role);
        match last.and_then(|last| last["content"].as_array_mut()) {
            Some(content) => content.append(&mut blocks),
            None => self.messages.push(json!({ "role": role, "content": blocks })),
        }
    }
}

impl Content {
    /// Without empty texts, which the Messages API refuses.
    fn blocks(self) -> Result<Vec<Value>, Problem> {
        let parts = match self {
            Self::Text(text) => vec![Part::Text { text, cache_control: None }],
            Self::Parts(parts) => parts,
        };
        let spoken = parts.into_iter().filter(
            |part| !matches!(part, Part::Text { text, .. } | Part::Refusal { refusal: text } if text.is_empty()),
        );
        spoken.map(Part::translate).collect()
    }
}

impl Part {
    fn translate(self) -> Result<Value, Problem> {
        let (mut block, control) = match self {
            Self::Text { text, cache_control } => {
                (json!({ "type": "text", "text": text }), cache_control)
            }
            Self::Refusal { refusal } => (json!({ "type": "text", "text": refusal }), None),
            Self::ImageUrl { image_url: ImageUrl { url }, cache_control } => {
                (json!({ "type": "image", "source": source(&url)? }), cache_control)
            }
        };
        if let Some(control) = control {
            block["cache_control"] = control;
        }
        Ok(block)
    }
}

fn source(url: &str) -> Result<Value, Problem> {
    let Some(data) = url.strip_prefix("data:") else {
        return Ok(json!({ "type": "url", "url": url }));
    };
    let (media_type, data) = data.split_once(";base64,").ok_or_else(|| {
        unsupported("/messages", "contain an image whose data: URL is not in base64")
    })?;
    Ok(json!({ "type": "base64", "media_type": media_type, "data": data }))
}

impl ToolCall {
    fn translate(self, at: usize) -> Result<Value, Problem> {
        let Function { name, arguments } = self.function;
        let arguments = if arguments.is_empty() { "{}" } else { &arguments };
        let input: Value = serde_json::from_str(arguments).map_err(|_| {
            let pointer = format!("/messages/{at}/tool_calls");
            unsupported(&pointer, "have arguments that are not JSON")
        })?;
        Ok(json!({ "type": "tool_use", "id": self.id, "name": name, "input": input }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use web::Problem;

    use super::{Conversation, Turn};

    fn read(turns: Value) -> Result<Conversation, Problem> {
        let turns: Vec<Turn> = serde_json::from_value(turns).unwrap();
        Conversation::read(turns)
    }

    fn text(text: &str) -> Value {
        json!({ "type": "text", "text": text })
    }

    #[test]
    fn instructions_are_kept_apart_from_the_turns() {
        let conversation = read(json!([
            { "role": "system", "content": "Be brief." },
            { "role": "developer", "content": [{ "type": "text", "text": "Be kind." }] },
            { "role": "user", "content": "hello" },
        ]))
        .unwrap();
        assert_eq!(conversation.system, [text("Be brief."), text("Be kind.")]);
        assert_eq!(conversation.messages, [json!({ "role": "user", "content": [text("hello")] })]);
    }

    #[test]
    fn the_results_of_all_tools_come_in_one_turn_before_what_the_user_says() {
        let call = |id: &str, arguments: &str| json!({ "id": id, "type": "function", "function": { "name": "f", "arguments": arguments } });
        let conversation = read(json!([
            { "role": "user", "content": "go" },
            { "role": "assistant", "content": "", "tool_calls": [call("a", "{\"x\":1}"), call("b", "")] },
            { "role": "tool", "tool_call_id": "a", "content": "1" },
            { "role": "tool", "tool_call_id": "b", "content": "2" },
            { "role": "user", "content": "and?" },
        ]))
        .unwrap();
        let used = |id: &str, input: Value| json!({ "type": "tool_use", "id": id, "name": "f", "input": input });
        let result = |id: &str, said: &str| json!({ "type": "tool_result", "tool_use_id": id, "content": [text(said)] });
        assert_eq!(
            conversation.messages[1..],
            [
                json!({ "role": "assistant", "content": [used("a", json!({ "x": 1 })), used("b", json!({}))] }),
                json!({ "role": "user", "content": [result("a", "1"), result("b", "2"), text("and?")] }),
            ]
        );
    }

    #[test]
    fn images_are_sent_by_address_or_as_they_are() {
        let image = |url: &str| json!({ "type": "image_url", "image_url": { "url": url } });
        let says = |parts: Value| json!([{ "role": "user", "content": parts }]);
        let conversation =
            read(says(json!([image("https://a/b.png"), image("data:image/png;base64,AAAA")])));
        assert_eq!(
            conversation.unwrap().messages[0]["content"],
            json!([
                { "type": "image", "source": { "type": "url", "url": "https://a/b.png" } },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AAAA" } },
            ])
        );
        assert!(read(says(json!([image("data:text/plain,hello")]))).is_err());
    }

    #[test]
    fn arguments_that_cannot_be_read_are_refused() {
        let call = json!({ "id": "a", "function": { "name": "f", "arguments": "{" } });
        let turns = json!([{ "role": "assistant", "tool_calls": [call] }]);
        assert_eq!(read(turns).err().unwrap().code, "invalid_field");
    }
}
