//! Whatever is said, it means the same after a translation there and back.

use proptest::{collection::vec, option, prelude::*};
use serde_json::{Value, json};

use super::{
    super::{completion, messages_request},
    chat_request, message,
};

fn text() -> impl Strategy<Value = Value> {
    ".{1,20}".prop_map(|text| json!({ "type": "text", "text": text }))
}

fn image() -> impl Strategy<Value = Value> {
    let by_url = "[a-z]{1,9}".prop_map(|path| {
        json!({ "type": "image", "source": { "type": "url", "url": format!("https://a/{path}") } })
    });
    let inline = "[A-Za-z0-9+/]{4,40}".prop_map(|data| {
        let source = json!({ "type": "base64", "media_type": "image/png", "data": data });
        json!({ "type": "image", "source": source })
    });
    prop_oneof![by_url, inline]
}

fn arguments() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,9}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 12, 3, |inner| vec(inner, 0..3).prop_map(Value::from));
    prop::collection::btree_map(".{1,5}", value, 0..3)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

/// What an assistant says, and the tools it calls.
fn said() -> impl Strategy<Value = (Option<Value>, Vec<Value>)> {
    (option::of(text()), vec(arguments(), 0..3))
}

fn content((text, calls): (Option<Value>, Vec<Value>), turn: usize) -> Vec<Value> {
    let calls = calls.into_iter().enumerate().map(|(at, input)| {
        json!({ "type": "tool_use", "id": format!("t{turn}-{at}"), "name": "f", "input": input })
    });
    text.into_iter().chain(calls).collect()
}

/// A conversation in which every call of a tool is answered at once.
fn conversation() -> impl Strategy<Value = Value> {
    let asked = vec(prop_oneof![text(), image()], 1..3);
    vec((asked, said()), 1..4).prop_map(|turns| {
        let (mut messages, mut results) = (Vec::new(), Vec::new());
        for (turn, (asked, said)) in turns.into_iter().enumerate() {
            let heard: Vec<Value> = results.drain(..).chain(asked).collect();
            messages.push(json!({ "role": "user", "content": heard }));
            let content = content(said, turn);
            results.extend(content.iter().filter(|it| it["type"] == "tool_use").map(|call| {
                let told = json!([{ "type": "text", "text": "42" }]);
                json!({ "type": "tool_result", "tool_use_id": call["id"], "content": told })
            }));
            if content.is_empty() {
                break;
            }
            messages.push(json!({ "role": "assistant", "content": content }));
        }
        messages.into()
    })
}

proptest! {
    #[test]
    fn a_request_keeps_its_meaning(
        messages in conversation(), system in option::of(text()), limit in 1..9_999, stream: bool,
    ) {
        let mut request = json!({ "model": "m", "max_tokens": limit, "messages": messages });
        if let Some(system) = system {
            request["system"] = json!([system]);
        }
        if stream {
            request["stream"] = true.into();
        }
        let chat = chat_request(request.to_string().as_bytes()).unwrap();
        let back: Value = serde_json::from_slice(&messages_request(&chat).unwrap()).unwrap();
        prop_assert_eq!(back, request);
    }

    #[test]
    fn an_answer_keeps_its_meaning(said in said(), cached in 0..9, fresh in 0..9, output in 0..9) {
        let answer = json!({
            "id": "a", "type": "message", "role": "assistant", "model": "m",
            "content": content(said, 0), "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {
                "input_tokens": fresh, "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": cached, "output_tokens": output,
            },
        });
        let there = completion(answer.to_string().as_bytes(), 0, false).unwrap();
        let back: Value = serde_json::from_slice(&message(&there).unwrap()).unwrap();
        prop_assert_eq!(back, answer);
    }
}
