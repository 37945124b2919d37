use axum::{body::Body, response::Response};
use futures::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::answer::{Used, stop_reason};
use crate::events::{data, first_end};

#[derive(Deserialize)]
struct Chunk {
    id: Option<String>,
    model: Option<String>,
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Used>,
    error: Option<Value>,
    /// The event itself, if the provider speaks the same API.
    anthropic: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<ToolCall>>,
}

#[derive(Deserialize)]
struct ToolCall {
    #[serde(default)]
    index: usize,
    id: Option<String>,
    #[serde(default)]
    function: Function,
}

#[derive(Default, Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<String>,
}

/// Turns the chunks of a streamed chat completion into the events of a streamed message, in order.
#[derive(Debug, Default)]
struct Events {
    begun: bool,
    /// Content blocks that were opened so far.
    blocks: usize,
    open: Option<Block>,
    end: Option<End>,
    used: Used,
}

/// How the stream ends, once it is known to end well.
#[derive(Debug)]
enum End {
    /// For that reason.
    Said(&'static str),
    /// With this event, held back until the call is settled.
    Carried(Box<RawValue>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Text,
    Tool(usize),
}

/// `answer`, a streamed chat completion, in the shape of the Messages API.
pub(crate) fn messages(answer: Response) -> Response {
    let (parts, body) = answer.into_parts();
    let mut events = Events::default();
    let blocks = body.into_data_stream();
    let frames = blocks.map(move |block| block.map(|block| events.write_all(&block)));
    Response::from_parts(parts, Body::from_stream(frames))
}

impl Events {
    /// The events for a block of whole chunks.
    fn write_all(&mut self, mut block: &[u8]) -> String {
        let mut frames = String::new();
        while !block.is_empty() {
            let (chunk, rest) = block.split_at(first_end(block));
            block = rest;
            frames += &match data(chunk) {
                Some(data) => self.write(&String::from_utf8_lossy(&data)),
                // A comment, which shows that the connection lives.
                None => frame("ping", r#"{"type":"ping"}"#),
            };
        }
        frames
    }

    /// The events, ready to be sent, that say the same as the chunk `data`. What cannot be read says
    /// nothing.
    fn write(&mut self, data: &str) -> String {
        let mut events = Vec::new();
        if data == "[DONE]" {
            match self.end.take() {
                // It broke: an error was its last event.
                None => {}
                Some(End::Said(reason)) => self.finish(reason, &mut events),
                Some(End::Carried(event)) => return frame("message_stop", event.get()),
            }
        } else if let Ok(chunk) = serde_json::from_str::<Chunk>(data) {
            match chunk.anthropic {
                Some(event) => return self.carried(event),
                None => self.chunk(chunk, &mut events),
            }
        }
        events.iter().map(|event| frame(kind(event), &event.to_string())).collect()
    }

    fn carried(&mut self, event: Box<RawValue>) -> String {
        let read: Value = serde_json::from_str(event.get()).unwrap_or_default();
        if kind(&read) != "message_stop" {
            return frame(kind(&read), event.get());
        }
        self.end = Some(End::Carried(event));
        String::new()
    }

    fn chunk(&mut self, chunk: Chunk, events: &mut Vec<Value>) {
        if let Some(error) = chunk.error {
            let message = error["message"].as_str().unwrap_or("the provider failed");
            let error = json!({ "type": "api_error", "message": message });
            self.end = None;
            return events.push(json!({ "type": "error", "error": error }));
        }
        if !self.begun {
            self.begun = true;
            events.push(start(chunk.id, chunk.model));
        }
        self.used = chunk.usage.unwrap_or(self.used);
        for Choice { delta, finish_reason } in chunk.choices {
            self.delta(delta, events);
            if let Some(reason) = finish_reason {
                self.end = Some(End::Said(stop_reason(Some(&reason))));
            }
        }
    }

    fn delta(&mut self, delta: Delta, events: &mut Vec<Value>) {
        let text = delta.content.or(delta.refusal).filter(|text| !text.is_empty());
        if let Some(text) = text {
            self.turn_to(Block::Text, || json!({ "type": "text", "text": "" }), events);
            self.change(&json!({ "type": "text_delta", "text": text }), events);
        }
        for call in delta.tool_calls.unwrap_or_default() {
            let ToolCall { index, id, function } = call;
            let name = function.name;
            let block = || json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
            self.turn_to(Block::Tool(index), block, events);
            if let Some(json) = function.arguments.filter(|arguments| !arguments.is_empty()) {
                self.change(&json!({ "type": "input_json_delta", "partial_json": json }), events);
            }
        }
    }

    /// Makes `block` the open one.
    fn turn_to(&mut self, block: Block, content: impl FnOnce() -> Value, events: &mut Vec<Value>) {
        if self.open == Some(block) {
            return;
        }
        self.close(events);
        self.open = Some(block);
        events.push(json!({
            "type": "content_block_start", "index": self.blocks, "content_block": content(),
        }));
        self.blocks += 1;
    }

    fn close(&mut self, events: &mut Vec<Value>) {
        if self.open.take().is_some() {
            events.push(json!({ "type": "content_block_stop", "index": self.blocks - 1 }));
        }
    }

    fn change(&self, delta: &Value, events: &mut Vec<Value>) {
        let index = self.blocks.saturating_sub(1);
        events.push(json!({ "type": "content_block_delta", "index": index, "delta": delta }));
    }

    fn finish(&mut self, reason: &str, events: &mut Vec<Value>) {
        self.close(events);
        events.push(json!({
            "type": "message_delta",
            "delta": { "stop_reason": reason, "stop_sequence": null },
            "usage": self.used.translate(),
        }));
        events.push(json!({ "type": "message_stop" }));
    }
}

fn start(id: Option<String>, model: Option<String>) -> Value {
    json!({ "type": "message_start", "message": {
        "id": id, "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": Used::default().translate(),
    }})
}

fn kind(event: &Value) -> &str {
    event["type"].as_str().unwrap_or_default()
}

fn frame(name: &str, event: &str) -> String {
    format!("event: {name}\ndata: {event}\n\n")
}

#[cfg(test)]
mod tests {
    use eventsource_stream::Eventsource;
    use futures::{StreamExt, TryStreamExt, executor::block_on, stream};
    use serde_json::{Value, json};

    use super::{super::super::chunks, Events, frame, kind};

    /// What becomes of a message's events on the way there and back.
    fn there_and_back(events: &[Value], carrying: bool) -> Vec<Value> {
        let sent: Vec<_> =
            events.iter().map(|it| Ok(frame(kind(it), &it.to_string()).into())).collect();
        let there = chunks(stream::iter(sent).boxed(), 0, carrying).eventsource();
        let chunks: Vec<String> = block_on(there.map_ok(|chunk| chunk.data).try_collect()).unwrap();
        let mut back = Events::default();
        parsed(&chunks.iter().map(|chunk| back.write(chunk)).collect::<String>())
    }

    fn parsed(frames: &str) -> Vec<Value> {
        let data = frames.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    #[test]
    fn a_stream_keeps_its_meaning_on_the_way_there_and_back() {
        let usage = json!({
            "input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
            "output_tokens": 0,
        });
        let mut counted = usage.clone();
        counted["input_tokens"] = 5.into();
        counted["output_tokens"] = 3.into();
        let delta = |index: usize, delta: Value| json!({ "type": "content_block_delta", "index": index, "delta": delta });
        let opened = |index: usize, block: Value| json!({ "type": "content_block_start", "index": index, "content_block": block });
        let closed = |index: usize| json!({ "type": "content_block_stop", "index": index });
        let events = [
            json!({ "type": "message_start", "message": {
                "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
                "stop_reason": null, "stop_sequence": null, "usage": usage,
            }}),
            opened(0, json!({ "type": "text", "text": "" })),
            delta(0, json!({ "type": "text_delta", "text": "we" })),
            delta(0, json!({ "type": "text_delta", "text": "ll" })),
            closed(0),
            opened(1, json!({ "type": "tool_use", "id": "a", "name": "f", "input": {} })),
            delta(1, json!({ "type": "input_json_delta", "partial_json": "{\"x\":" })),
            delta(1, json!({ "type": "input_json_delta", "partial_json": "1}" })),
            closed(1),
            opened(2, json!({ "type": "tool_use", "id": "b", "name": "g", "input": {} })),
            delta(2, json!({ "type": "input_json_delta", "partial_json": "{}" })),
            closed(2),
            json!({
                "type": "message_delta",
                "delta": { "stop_reason": "tool_use", "stop_sequence": null },
                "usage": counted,
            }),
            json!({ "type": "message_stop" }),
        ];
        assert_eq!(there_and_back(&events, false), events);
    }

    #[test]
    fn events_that_are_carried_arrive_as_they_were() {
        let delta = json!({ "type": "signature_delta", "signature": "s" });
        let events = [
            json!({ "type": "message_start", "message": { "id": "a", "model": "m", "new": 1 } }),
            json!({ "type": "ping" }),
            json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
            json!({ "type": "message_delta", "delta": { "stop_reason": "pause_turn" } }),
            json!({ "type": "message_stop" }),
        ];
        assert_eq!(there_and_back(&events, true), events);
    }

    #[test]
    fn a_sign_of_life_is_passed_on_between_the_chunks_of_a_block() {
        let chunk = r#"data: {"id":"a","model":"m","choices":[{"delta":{"content":"we"}}]}"#;
        let block = format!(": keep-alive\n\n{chunk}\n\n");
        let events = parsed(&Events::default().write_all(block.as_bytes()));
        let kinds: Vec<&str> = events.iter().map(kind).collect();
        let text = ["message_start", "content_block_start", "content_block_delta"];
        assert_eq!((kinds[0], &kinds[1..]), ("ping", &text[..]));
    }

    #[test]
    fn a_stream_that_breaks_ends_in_an_error_and_nothing_else() {
        let mut events = Events::default();
        events.write(r#"{"id":"a","model":"m","choices":[{"delta":{"content":"we"}}]}"#);
        let broken = parsed(&events.write(r#"{"error":{"message":"it broke"}}"#));
        assert_eq!(broken[0]["error"], json!({ "type": "api_error", "message": "it broke" }));
        assert_eq!(events.write("[DONE]"), "");
    }
}
