use bytes::Bytes;
use eventsource_stream::Eventsource;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Block, Carrying, Used, finish_reason};
use crate::events::Blocks;

/// The stream in `OpenAI`'s shape, of an answer made at `created`.
pub(crate) fn chunks(events: Blocks, created: i64, carrying: bool) -> Blocks {
    let mut chunks = Chunks { created, carrying, ..Chunks::default() };
    let translate = move |data: &str| {
        let read = chunks.read(data).ok_or("the provider sent something unreadable")?;
        // A comment shows that the connection lives.
        let nothing = read.is_empty().then(|| ": ping\n\n".to_owned());
        let frames = read.into_iter().map(|chunk| format!("data: {chunk}\n\n"));
        Ok(Bytes::from(frames.chain(nothing).collect::<String>()))
    };
    let events = events.eventsource().scan(translate, |translate, event| {
        let broken = |_| "the provider's stream broke";
        std::future::ready(Some(event.map_err(broken).and_then(|event| translate(&event.data))))
    });
    events.boxed()
}

/// An event of a streamed answer of the Messages API.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Start,
    },
    ContentBlockStart {
        index: usize,
        content_block: Block,
    },
    ContentBlockDelta {
        index: usize,
        delta: Delta,
    },
    ContentBlockStop {
        index: usize,
    },
    MessageDelta {
        delta: End,
        usage: Option<Used>,
    },
    MessageStop,
    Error {
        error: Value,
    },
    /// Pings, and events of tomorrow.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Start {
    id: String,
    model: String,
    #[serde(default)]
    usage: Used,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: String },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct End {
    stop_reason: Option<String>,
}

/// Turns the events of a streamed message into the chunks of a chat completion, in order.
#[derive(Debug, Default)]
struct Chunks {
    created: i64,
    /// Whether every event is carried along.
    carrying: bool,
    id: String,
    model: String,
    used: Used,
    /// Tools that were called so far.
    tools: Vec<ToolCall>,
}

#[derive(Debug)]
struct ToolCall {
    /// The content block it is told in.
    block: usize,
    /// Whether it has arguments.
    told: bool,
}

impl Chunks {
    /// The data of the chunks that say the same as the event `data`; `None` if that is unreadable.
    fn read(&mut self, data: &str) -> Option<Vec<String>> {
        let event = serde_json::from_str(data).ok()?;
        let is_end = matches!(event, Event::MessageStop);
        let mut chunks = self.translate(event);
        let mut written = Vec::new();
        if self.carrying {
            if chunks.is_empty() {
                chunks.push(self.envelope(&json!([]), &Value::Null));
            }
            let carrying = Carrying {
                translated: &chunks.remove(0),
                anthropic: serde_json::from_str(data).ok()?,
            };
            written.push(serde_json::to_string(&carrying).ok()?);
        }
        written.extend(chunks.iter().map(Value::to_string));
        if is_end {
            written.push("[DONE]".to_owned());
        }
        Some(written)
    }

    fn translate(&mut self, event: Event) -> Vec<Value> {
        match event {
            Event::MessageStart { message } => self.start(message),
            Event::ContentBlockStart { index, content_block } => self.open(index, content_block),
            Event::ContentBlockDelta { index, delta } => self.change(index, delta),
            Event::ContentBlockStop { index } => self.close(index),
            Event::MessageDelta { delta, usage } => {
                self.used = usage.unwrap_or_default().or(self.used);
                let reason = finish_reason(delta.stop_reason.as_deref());
                vec![self.chunk(&json!({}), Some(reason))]
            }
            Event::MessageStop => vec![self.envelope(&json!([]), &self.used.translate())],
            Event::Error { error } => vec![json!({ "error": error })],
            Event::Other => vec![],
        }
    }

    fn start(&mut self, message: Start) -> Vec<Value> {
        Start { id: self.id, model: self.model, usage: self.used } = message;
        vec![self.delta(&json!({ "role": "assistant", "content": "" }))]
    }

    fn open(&mut self, block: usize, content: Block) -> Vec<Value> {
        match content {
            Block::ToolUse { id, name, .. } => {
                self.tools.push(ToolCall { block, told: false });
                let function = json!({ "name": name, "arguments": "" });
                let call = json!({
                    "index": self.tools.len() - 1, "id": id, "type": "function", "function": function,
                });
                vec![self.delta(&json!({ "tool_calls": [call] }))]
            }
            Block::Text { text } if !text.is_empty() => {
                vec![self.delta(&json!({ "content": text }))]
            }
            Block::Text { .. } | Block::Thinking { .. } | Block::Other => vec![],
        }
    }

    fn change(&mut self, block: usize, delta: Delta) -> Vec<Value> {
        match delta {
            Delta::Text { text } => vec![self.delta(&json!({ "content": text }))],
            Delta::Thinking { thinking } => {
                vec![self.delta(&json!({ "reasoning_content": thinking }))]
            }
            Delta::InputJson { partial_json } if partial_json.is_empty() => vec![],
            Delta::InputJson { partial_json } => self.arguments(block, &partial_json),
            Delta::Other => vec![],
        }
    }

    /// A tool without input was never told any, but no text is no JSON.
    fn close(&mut self, block: usize) -> Vec<Value> {
        let untold = self.tools.iter().any(|tool| tool.block == block && !tool.told);
        if untold { self.arguments(block, "{}") } else { vec![] }
    }

    fn arguments(&mut self, block: usize, arguments: &str) -> Vec<Value> {
        let Some(index) = self.tools.iter().position(|tool| tool.block == block) else {
            return vec![];
        };
        self.tools[index].told = true;
        let call = json!({ "index": index, "function": { "arguments": arguments } });
        vec![self.delta(&json!({ "tool_calls": [call] }))]
    }

    fn delta(&self, delta: &Value) -> Value {
        self.chunk(delta, None)
    }

    fn chunk(&self, delta: &Value, finish: Option<&str>) -> Value {
        let choice =
            json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish });
        self.envelope(&json!([choice]), &Value::Null)
    }

    fn envelope(&self, choices: &Value, usage: &Value) -> Value {
        json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created,
            "model": self.model, "choices": choices, "usage": usage,
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use eventsource_stream::Eventsource;
    use futures::{StreamExt, TryStreamExt, stream};
    use serde_json::{Value, json};

    use super::{Chunks, chunks};

    const STREAM: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"cache_read_input_tokens":5,"output_tokens":1}}}

event: ping
data: {"type": "ping"}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Grüße, "}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"世界"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"t1","name":"f","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: content_block_start
data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"t2","name":"g","input":{}}}

event: content_block_stop
data: {"type":"content_block_stop","index":3}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":15}}

event: message_stop
data: {"type":"message_stop"}

"#;

    /// What arrives if the stream comes in these pieces.
    async fn read(pieces: &[&[u8]], carrying: bool) -> Vec<String> {
        let pieces: Vec<_> = pieces.iter().map(|it| Ok(Bytes::copy_from_slice(it))).collect();
        let translated = chunks(stream::iter(pieces).boxed(), 7, carrying).eventsource();
        translated.map_ok(|event| event.data).try_collect().await.unwrap()
    }

    fn joined(chunks: &[Value], field: impl Fn(&Value) -> &Value) -> String {
        chunks.iter().filter_map(|it| field(&it["choices"][0]["delta"]).as_str()).collect()
    }

    #[tokio::test]
    async fn a_stream_says_the_same_in_openais_words() {
        let mut read = self::read(&[STREAM.as_bytes()], false).await;

        assert_eq!(read.pop().unwrap(), "[DONE]");
        let read: Vec<Value> = read.iter().map(|it| serde_json::from_str(it).unwrap()).collect();
        assert_eq!(read[0]["choices"][0]["delta"]["role"], "assistant");
        assert_eq!(joined(&read, |delta| &delta["content"]), "Grüße, 世界");
        assert_eq!(joined(&read, |delta| &delta["reasoning_content"]), "hm");
        let arguments = |index: usize| -> String {
            let calls = read.iter().map(|it| &it["choices"][0]["delta"]["tool_calls"][0]);
            let of_it = calls.filter(|call| call["index"] == index);
            of_it.filter_map(|call| call["function"]["arguments"].as_str()).collect()
        };
        assert_eq!((arguments(0), arguments(1)), ("{\"a\":1}".to_owned(), "{}".to_owned()));
        assert_eq!(read[read.len() - 2]["choices"][0]["finish_reason"], "tool_calls");
        let last = read.last().unwrap();
        assert_eq!((&last["choices"], &last["usage"]["prompt_tokens"]), (&json!([]), &json!(30)));
        assert_eq!(last["usage"]["completion_tokens"], 15);
    }

    #[tokio::test]
    async fn a_stream_may_be_cut_into_packets_anywhere() {
        let whole = read(&[STREAM.as_bytes()], false).await;
        for at in 0..STREAM.len() {
            let (one, two) = STREAM.as_bytes().split_at(at);
            assert_eq!(read(&[one, two], false).await, whole, "cut at {at}");
        }
    }

    #[tokio::test]
    async fn an_event_that_is_carried_arrives_as_it_was() {
        let mut read = read(&[STREAM.as_bytes()], true).await;

        assert_eq!(read.pop().unwrap(), "[DONE]");
        let carried = read.iter().filter_map(|chunk| {
            let (_, event) = chunk.split_once("\"anthropic\":")?;
            event.strip_suffix('}')
        });
        let sent = STREAM.lines().filter_map(|line| line.strip_prefix("data: "));
        assert_eq!(carried.collect::<Vec<_>>(), sent.collect::<Vec<_>>());
    }

    #[test]
    fn an_error_in_the_middle_is_one_here_too() {
        let error =
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        let read = Chunks::default().read(error).unwrap();
        let error: Value = serde_json::from_str(&read[0]).unwrap();
        assert_eq!(error["error"]["type"], "overloaded_error");
    }

    #[test]
    fn what_is_no_event_is_none_and_an_unknown_one_is_nothing() {
        assert!(Chunks::default().read("{\"type\":\"mess").is_none());
        assert!(Chunks::default().read(r#"{"type":"tomorrow"}"#).unwrap().is_empty());
    }
}
