use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    error::ApiError,
    models::{Kind, Model},
};

/// Reads a body as strictly as OpenAI does: an argument it does not know is an error.
pub(super) fn parse<T: DeserializeOwned>(body: Value, known: &[&str]) -> Result<T, ApiError> {
    let Some(arguments) = body.as_object() else {
        let message = "We could not parse the JSON body of your request.";
        return Err(ApiError::invalid(None, message));
    };
    if let Some(unknown) = arguments.keys().find(|name| !known.contains(&name.as_str())) {
        let message = format!("Unrecognized request argument supplied: {unknown}");
        return Err(ApiError::invalid(None, message));
    }
    if !arguments.contains_key("model") {
        return Err(ApiError::invalid(None, "you must provide a model parameter"));
    }
    serde_json::from_value(body).map_err(|error| ApiError::invalid(None, error.to_string()))
}

/// The body of a chat completion, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(super) struct ChatRequest {
    pub(super) model: String,
    pub(super) messages: Vec<Message>,
    max_tokens: Option<usize>,
    max_completion_tokens: Option<usize>,
    n: Option<usize>,
    stop: Option<Stop>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    tools: Option<Vec<Value>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub(super) role: String,
    pub(super) content: Option<Content>,
    pub(super) name: Option<String>,
    pub(super) tool_calls: Option<Vec<Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<Part>),
}

/// A text, or else an image.
#[derive(Debug, Deserialize)]
pub(super) struct Part {
    pub(super) text: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Stop {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl ChatRequest {
    pub(super) fn parse(body: Value) -> Result<Self, ApiError> {
        let request: Self = parse(body, &ARGUMENTS)?;
        let model = Model::find(&request.model)?;
        if !matches!(model.kind, Kind::Chat | Kind::Reasoning) {
            return Err(ApiError::invalid(Some("model"), "This is not a chat model."));
        }
        if model.kind == Kind::Reasoning && request.max_tokens.is_some() {
            let message = "Unsupported parameter: 'max_tokens' is not supported with this model. \
                           Use 'max_completion_tokens' instead.";
            return Err(ApiError::unsupported("max_tokens", message));
        }
        request.check()?;
        Ok(request)
    }

    fn check(&self) -> Result<(), ApiError> {
        if self.messages.is_empty() {
            return Err(ApiError::invalid(Some("messages"), "[] is too short - 'messages'"));
        }
        if let Some(message) = self.messages.iter().find(|m| !ROLES.contains(&m.role.as_str())) {
            let message = format!("Invalid value: '{}'.", message.role);
            return Err(ApiError::invalid(Some("messages"), message));
        }
        if self.limit() == Some(0) {
            return Err(ApiError::invalid(Some("max_tokens"), "0 is less than the minimum of 1"));
        }
        if !(1..=128).contains(&self.choices()) {
            return Err(ApiError::invalid(Some("n"), "'n' must be between 1 and 128"));
        }
        if self.stream_options.is_some() && !self.streams() {
            let message =
                "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
            return Err(ApiError::invalid(Some("stream_options"), message));
        }
        Ok(())
    }

    pub(super) fn limit(&self) -> Option<usize> {
        self.max_completion_tokens.or(self.max_tokens)
    }

    pub(super) fn choices(&self) -> usize {
        self.n.unwrap_or(1)
    }

    pub(super) fn streams(&self) -> bool {
        self.stream.unwrap_or_default()
    }

    pub(super) fn wants_usage(&self) -> bool {
        self.stream_options.as_ref().and_then(|options| options.include_usage).unwrap_or_default()
    }

    pub(super) fn tools(&self) -> &[Value] {
        self.tools.as_deref().unwrap_or_default()
    }

    pub(super) fn stops(&self) -> &[String] {
        match &self.stop {
            None => &[],
            Some(Stop::One(stop)) => std::slice::from_ref(stop),
            Some(Stop::Many(stops)) => stops,
        }
    }

    /// What the user said last.
    pub(super) fn last_words(&self) -> String {
        let last = self.messages.iter().rfind(|message| message.role == "user");
        match last.and_then(|message| message.content.as_ref()) {
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => {
                parts.iter().filter_map(|part| part.text.as_deref()).collect::<Vec<_>>().join(" ")
            }
            None => String::new(),
        }
    }
}

const ROLES: [&str; 6] = ["developer", "system", "user", "assistant", "tool", "function"];

const ARGUMENTS: [&str; 37] = [
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];
