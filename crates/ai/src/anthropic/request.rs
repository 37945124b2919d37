use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use web::Problem;

use super::conversation::{Conversation, Turn};

/// A chat completion request, as far as the Messages API can serve it.
#[derive(Deserialize)]
struct ChatRequest {
    model: String,
    messages: Vec<Turn>,
    max_completion_tokens: Option<i64>,
    max_tokens: Option<i64>,
    stop: Option<Stop>,
    stream: Option<bool>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    tools: Option<Vec<Tool>>,
    tool_choice: Option<Value>,
    parallel_tool_calls: Option<bool>,
    response_format: Option<ResponseFormat>,
    reasoning_effort: Option<String>,
    user: Option<String>,
    safety_identifier: Option<String>,
    /// Always reported.
    #[serde(rename = "stream_options")]
    _stream_options: Option<Value>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Stop {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
struct Tool {
    function: Function,
    cache_control: Option<Value>,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    description: Option<String>,
    parameters: Option<Value>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat {
    Text,
    JsonObject,
    JsonSchema { json_schema: JsonSchema },
}

#[derive(Deserialize)]
struct JsonSchema {
    schema: Value,
}

/// The Messages request that asks for the same as the chat completion request `body`.
pub(crate) fn messages_request(body: &[u8]) -> Result<Bytes, Problem> {
    let chat: ChatRequest = serde_json::from_slice(body).map_err(|error| {
        Problem::unprocessable("invalid_request", format!("not served by this model: {error}"))
    })?;
    let request = chat.translate()?;
    serde_json::to_vec(&request).map(Bytes::from).map_err(Problem::internal)
}

impl ChatRequest {
    fn translate(self) -> Result<Map<String, Value>, Problem> {
        self.refuse_others()?;
        let tool_choice = self.tool_choice()?;
        let format = self.response_format.as_ref().map(ResponseFormat::translate);
        let (effort, thinking) = reasoning(self.reasoning_effort)?;
        let output_config = [("format", format.transpose()?.flatten()), ("effort", effort)];
        let output_config = given(output_config);
        let Conversation { system, messages } = Conversation::read(self.messages)?;
        let user = self.safety_identifier.or(self.user);
        let members = [
            ("model", Some(self.model.into())),
            ("max_tokens", self.max_completion_tokens.or(self.max_tokens).map(Value::from)),
            ("system", (!system.is_empty()).then(|| system.into())),
            ("messages", Some(messages.into())),
            ("stop_sequences", self.stop.map(Stop::sequences)),
            ("stream", self.stream.map(Value::from)),
            ("temperature", self.temperature.map(Value::from)),
            ("top_p", self.top_p.map(Value::from)),
            ("tools", self.tools.map(|tools| tools.into_iter().map(Tool::translate).collect())),
            ("tool_choice", tool_choice),
            ("thinking", thinking),
            ("output_config", (!output_config.is_empty()).then(|| output_config.into())),
            ("metadata", user.map(|id| json!({ "user_id": id }))),
        ];
        Ok(given(members))
    }

    /// Refuses what would have no effect, unless that is what it asks for.
    fn refuse_others(&self) -> Result<(), Problem> {
        for (name, value) in &self.others {
            let asks_for_nothing = match name.as_str() {
                "n" => value == 1,
                "frequency_penalty" | "presence_penalty" => value.as_f64() == Some(0.0),
                "logprobs" => value == false,
                _ => false,
            };
            if !asks_for_nothing && !value.is_null() {
                return Err(unsupported(&format!("/{name}"), "is not served by this model"));
            }
        }
        if self.temperature.is_some_and(|temperature| temperature > 1.0) {
            return Err(unsupported("/temperature", "is at most 1 with this model"));
        }
        Ok(())
    }

    /// `null` where the Messages API would refuse a choice: there is nothing to choose from.
    fn tool_choice(&self) -> Result<Option<Value>, Problem> {
        if self.tools.as_ref().is_none_or(Vec::is_empty) {
            return Ok(None);
        }
        let mut choice = match &self.tool_choice {
            None => json!({ "type": "auto" }),
            Some(choice) => match (choice.as_str(), choice["function"]["name"].as_str()) {
                (Some("none"), _) => return Ok(Some(json!({ "type": "none" }))),
                (Some("auto"), _) => json!({ "type": "auto" }),
                (Some("required"), _) => json!({ "type": "any" }),
                (None, Some(name)) => json!({ "type": "tool", "name": name }),
                _ => return Err(unsupported("/tool_choice", "is not served by this model")),
            },
        };
        if self.parallel_tool_calls == Some(false) {
            choice["disable_parallel_tool_use"] = true.into();
        }
        Ok(Some(choice))
    }
}

/// The members that have a value.
fn given<const N: usize>(members: [(&str, Option<Value>); N]) -> Map<String, Value> {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// How much effort to make, and whether to think.
fn reasoning(effort: Option<String>) -> Result<(Option<Value>, Option<Value>), Problem> {
    match effort.as_deref() {
        None => Ok((None, None)),
        Some("none") => Ok((None, Some(json!({ "type": "disabled" })))),
        Some("low" | "medium" | "high" | "xhigh") => Ok((effort.map(Value::from), None)),
        Some(_) => Err(unsupported("/reasoning_effort", "is not served by this model")),
    }
}

impl Stop {
    fn sequences(self) -> Value {
        match self {
            Self::One(stop) => json!([stop]),
            Self::Many(stops) => stops.into(),
        }
    }
}

impl Tool {
    fn translate(self) -> Value {
        let Function { name, description, parameters, strict } = self.function;
        let schema = parameters.unwrap_or_else(|| json!({ "type": "object", "properties": {} }));
        let mut tool = json!({ "name": name, "input_schema": schema });
        if let Some(description) = description {
            tool["description"] = description.into();
        }
        if let Some(strict) = strict {
            tool["strict"] = strict.into();
        }
        if let Some(control) = self.cache_control {
            tool["cache_control"] = control;
        }
        tool
    }
}

impl ResponseFormat {
    fn translate(&self) -> Result<Option<Value>, Problem> {
        match self {
            Self::Text => Ok(None),
            Self::JsonSchema { json_schema } => {
                Ok(Some(json!({ "type": "json_schema", "schema": json_schema.schema })))
            }
            Self::JsonObject => {
                let detail = "json_object is not served by this model: give a json_schema";
                Err(unsupported("/response_format/type", detail))
            }
        }
    }
}

pub(super) fn unsupported(pointer: &str, detail: &str) -> Problem {
    Problem::invalid_field(pointer, detail)
        .action("Leave it out, or name a model that serves it; see GET /v1/models.")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use web::Problem;

    use super::messages_request;

    fn translate(mut more: Value) -> Result<Value, Problem> {
        let mut request = json!({
            "model": "claude-haiku-4-5", "max_completion_tokens": 9,
            "messages": [{ "role": "user", "content": "hello" }],
        });
        request.as_object_mut().unwrap().append(more.as_object_mut().unwrap());
        let translated = messages_request(request.to_string().as_bytes())?;
        Ok(serde_json::from_slice(&translated).unwrap())
    }

    #[test]
    fn a_request_says_the_same_in_anthropics_words() {
        let translated = translate(json!({
            "stop": "end", "stream": true, "stream_options": { "include_usage": true },
            "temperature": 0.5, "top_p": 0.9, "user": "u1", "n": 1, "seed": null,
        }));
        let expected = json!({
            "model": "claude-haiku-4-5", "max_tokens": 9,
            "messages": [{ "role": "user", "content": [{ "type": "text", "text": "hello" }] }],
            "stop_sequences": ["end"], "stream": true, "temperature": 0.5, "top_p": 0.9,
            "metadata": { "user_id": "u1" },
        });
        assert_eq!(translated.unwrap(), expected);
    }

    #[test]
    fn tools_and_the_choice_between_them_are_translated() {
        let parameters = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
        let tool = json!({ "type": "function", "function": {
            "name": "look", "description": "Looks", "parameters": parameters, "strict": true,
        }});
        let with = |choice: Value| {
            let chosen = json!({ "tools": [tool], "tool_choice": choice });
            translate(chosen).unwrap()
        };
        let named = json!({ "type": "function", "function": { "name": "look" } });

        assert_eq!(
            with(json!("auto"))["tools"],
            json!([{
                "name": "look", "description": "Looks", "input_schema": parameters, "strict": true,
            }])
        );
        assert_eq!(with(json!("none"))["tool_choice"], json!({ "type": "none" }));
        assert_eq!(with(json!("required"))["tool_choice"], json!({ "type": "any" }));
        assert_eq!(with(named)["tool_choice"], json!({ "type": "tool", "name": "look" }));
        let one = translate(json!({ "tools": [tool], "parallel_tool_calls": false })).unwrap();
        assert_eq!(
            one["tool_choice"],
            json!({ "type": "auto", "disable_parallel_tool_use": true })
        );
    }

    #[test]
    fn a_schema_for_the_answer_is_passed_on() {
        let schema = json!({ "type": "object" });
        let format =
            json!({ "type": "json_schema", "json_schema": { "name": "a", "schema": schema } });
        let translated = translate(json!({ "response_format": format })).unwrap();
        assert_eq!(
            translated["output_config"],
            json!({ "format": { "type": "json_schema", "schema": schema } })
        );
    }

    #[test]
    fn an_effort_is_asked_for_or_no_thinking_at_all() {
        let high = translate(json!({ "reasoning_effort": "high" })).unwrap();
        let none = translate(json!({ "reasoning_effort": "none" })).unwrap();
        assert_eq!(high["output_config"], json!({ "effort": "high" }));
        assert_eq!(none["thinking"], json!({ "type": "disabled" }));
    }

    #[test]
    fn what_has_no_counterpart_is_refused_by_name() {
        for (field, value) in [
            ("n", json!(2)),
            ("seed", json!(1)),
            ("logprobs", json!(true)),
            ("logit_bias", json!({ "1": 1 })),
            ("frequency_penalty", json!(0.5)),
            ("reasoning_effort", json!("minimal")),
            ("functions", json!([])),
            ("temperature", json!(1.5)),
            ("response_format", json!({ "type": "json_object" })),
        ] {
            let problem = translate(json!({ field: value })).unwrap_err();
            assert_eq!(problem.code, "invalid_field", "{field}");
            assert!(problem.detail.contains(field), "{}", problem.detail);
        }
    }
}
