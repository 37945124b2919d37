use serde_json::{Value, json};

use super::{
    super::{Usage, answer::Tool, stream::Frames},
    error,
    message::{Message, usage_of},
};

/// The message as a stream.
pub(super) fn frames(message: &Message, usage: Usage) -> Frames {
    let mut start = usage_of(usage);
    start["output_tokens"] = 1.into();
    let mut events = vec![
        json!({ "type": "message_start", "message": message.envelope(&start) }),
        json!({ "type": "ping" }),
    ];
    if message.thinks {
        thought(message, &mut events);
    }
    said(message, usize::from(message.thinks), &mut events);
    events.push(json!({
        "type": "message_delta",
        "delta": {
            "stop_reason": message.stop_reason(),
            "stop_sequence": message.answer.stopped_by,
        },
        "usage": { "output_tokens": usage.completion_tokens },
    }));
    events.push(json!({ "type": "message_stop" }));
    Frames {
        frames: events.iter().map(frame).collect(),
        failure: frame(&error::body("overloaded_error", "Overloaded")),
    }
}

fn thought(message: &Message, events: &mut Vec<Value>) {
    let delta = |delta: Value| json!({ "type": "content_block_delta", "index": 0, "delta": delta });
    events.push(json!({
        "type": "content_block_start", "index": 0,
        "content_block": { "type": "thinking", "thinking": "", "signature": "" },
    }));
    let thoughts = message.thoughts();
    events.extend(thoughts.map(|it| delta(json!({ "type": "thinking_delta", "thinking": it }))));
    events.push(delta(json!({ "type": "signature_delta", "signature": "c2lnbmVk" })));
    events.push(json!({ "type": "content_block_stop", "index": 0 }));
}

fn said(message: &Message, index: usize, events: &mut Vec<Value>) {
    let tool = message.answer.tool.as_ref();
    let block = match tool {
        None => json!({ "type": "text", "text": "" }),
        Some(Tool { id, name }) => {
            json!({ "type": "tool_use", "id": id, "name": name, "input": {} })
        }
    };
    events.push(json!({ "type": "content_block_start", "index": index, "content_block": block }));
    events.extend(message.answer.pieces.iter().map(|piece| {
        let delta = match tool {
            None => json!({ "type": "text_delta", "text": piece }),
            Some(_) => json!({ "type": "input_json_delta", "partial_json": piece }),
        };
        json!({ "type": "content_block_delta", "index": index, "delta": delta })
    }));
    events.push(json!({ "type": "content_block_stop", "index": index }));
}

fn frame(event: &Value) -> String {
    let name = event["type"].as_str().unwrap_or_default();
    format!("event: {name}\ndata: {event}\n\n")
}
