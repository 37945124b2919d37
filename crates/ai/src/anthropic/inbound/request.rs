use bytes::Bytes;
use serde_json::{Map, Value, json};
use web::Problem;

use super::{
    super::request::unsupported,
    checked::MessagesRequest,
    turns::{instructions, turns},
};

/// The chat completion request that asks for the same as the Messages request `body`.
pub(crate) fn chat_request(body: &[u8]) -> Result<Bytes, Problem> {
    let request = serde_json::from_slice(body).map_err(Problem::internal)?;
    serde_json::to_vec(&translate(&request)?).map(Bytes::from).map_err(Problem::internal)
}

fn translate(request: &MessagesRequest) -> Result<Map<String, Value>, Problem> {
    let others = &request.others;
    let mut messages = Vec::new();
    messages.extend(request.system.as_ref().and_then(instructions));
    for (at, turn) in request.messages.iter().enumerate() {
        turns(at, turn, &mut messages)?;
    }
    refuse_others(others)?;
    let tools: Vec<Value> = request.tools.iter().map(tool).collect();
    let choice = others.get("tool_choice").filter(|_| !tools.is_empty());
    let one_tool = choice.is_some_and(|it| it["disable_parallel_tool_use"] == true);
    let config = others.get("output_config").unwrap_or(&Value::Null);
    let members = [
        ("model", json!(request.model)),
        ("max_completion_tokens", json!(request.max_tokens)),
        ("messages", messages.into()),
        ("stream", if request.stream { json!(true) } else { Value::Null }),
        ("stop", others.get("stop_sequences").cloned().unwrap_or_default()),
        ("temperature", others.get("temperature").cloned().unwrap_or_default()),
        ("top_p", others.get("top_p").cloned().unwrap_or_default()),
        ("tools", if tools.is_empty() { Value::Null } else { tools.into() }),
        ("tool_choice", choice.map(tool_choice).transpose()?.unwrap_or_default()),
        ("parallel_tool_calls", if one_tool { json!(false) } else { Value::Null }),
        ("user", others.get("metadata").map(|it| it["user_id"].clone()).unwrap_or_default()),
        ("reasoning_effort", config["effort"].clone()),
        ("response_format", response_format(&config["format"])),
    ];
    let given = members.into_iter().filter(|(_, value)| !value.is_null());
    Ok(given.map(|(name, value)| (name.to_owned(), value)).collect())
}

fn refuse_others(others: &Map<String, Value>) -> Result<(), Problem> {
    if others.get("top_k").is_some_and(|top_k| !top_k.is_null()) {
        return Err(unsupported("/top_k", "is not served by this model"));
    }
    let thinking = others.get("thinking").map(|it| &it["type"]);
    if thinking.is_some_and(|kind| kind != "disabled") {
        return Err(unsupported("/thinking", "is not served by this model"));
    }
    Ok(())
}

fn tool(tool: &Value) -> Value {
    let mut function = json!({ "name": tool["name"], "parameters": tool["input_schema"] });
    for member in ["description", "strict"] {
        if !tool[member].is_null() {
            function[member] = tool[member].clone();
        }
    }
    json!({ "type": "function", "function": function })
}

fn tool_choice(choice: &Value) -> Result<Value, Problem> {
    match choice["type"].as_str() {
        Some("auto") => Ok(json!("auto")),
        Some("any") => Ok(json!("required")),
        Some("none") => Ok(json!("none")),
        Some("tool") => Ok(json!({ "type": "function", "function": { "name": choice["name"] } })),
        _ => Err(unsupported("/tool_choice/type", "is not served by this model")),
    }
}

fn response_format(format: &Value) -> Value {
    match &format["schema"] {
        Value::Null => Value::Null,
        schema => json!({
            "type": "json_schema",
            "json_schema": { "name": "answer", "schema": schema, "strict": true },
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{super::super::messages_request, chat_request};

    fn there_and_back(request: &Value) -> Value {
        let chat = chat_request(request.to_string().as_bytes()).unwrap();
        serde_json::from_slice(&messages_request(&chat).unwrap()).unwrap()
    }

    #[test]
    fn a_request_keeps_its_meaning_on_the_way_there_and_back() {
        let text = |text: &str| json!({ "type": "text", "text": text });
        let source = json!({ "type": "base64", "media_type": "image/png", "data": "AAAA" });
        let request = json!({
            "model": "claude-x", "max_tokens": 9, "stream": true,
            "system": [text("Be brief.")],
            "messages": [
                { "role": "user", "content": [text("go"), { "type": "image", "source": source }] },
                { "role": "assistant", "content": [
                    text("well"), { "type": "tool_use", "id": "a", "name": "f", "input": { "x": [1, 2] } },
                ]},
                { "role": "user", "content": [
                    { "type": "tool_result", "tool_use_id": "a", "content": [text("1")] },
                    text("and?"),
                ]},
            ],
            "stop_sequences": ["end"], "temperature": 0.5, "top_p": 0.9,
            "tools": [{ "name": "f", "description": "d", "input_schema": { "type": "object" } }],
            "tool_choice": { "type": "tool", "name": "f", "disable_parallel_tool_use": true },
            "metadata": { "user_id": "u" },
            "output_config": { "format": { "type": "json_schema", "schema": { "type": "object" } } },
        });
        assert_eq!(there_and_back(&request), request);
    }

    #[test]
    fn every_choice_of_a_tool_keeps_its_meaning() {
        for choice in ["auto", "any", "none"] {
            let request = json!({
                "model": "m", "max_tokens": 1, "messages": [],
                "tools": [{ "name": "f", "input_schema": {} }], "tool_choice": { "type": choice },
            });
            assert_eq!(there_and_back(&request), request);
        }
    }

    #[test]
    fn what_only_anthropic_serves_is_refused_by_name() {
        for (field, value) in
            [("top_k", json!(5)), ("thinking", json!({ "type": "enabled", "budget_tokens": 1024 }))]
        {
            let mut request = json!({ "model": "m", "max_tokens": 1, "messages": [] });
            request[field] = value;
            let refused = chat_request(request.to_string().as_bytes()).unwrap_err();
            assert!(refused.detail.contains(field));
        }
    }
}
