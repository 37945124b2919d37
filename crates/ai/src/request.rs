use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use usage::{Model, Quantities};
use utoipa::ToSchema;
use web::{Problem, RawJson};

/// The most tokens that one image of a prompt counts as, with any model that Slipway ships a price
/// for: gpt-4o-mini at high detail, 2,833 + 8 × 5,667.
const TOKENS_PER_IMAGE: i64 = 49_000;

/// Parameters that do not change what a token costs. Any other is refused: a faster service tier, a
/// predicted output or a hosted tool would cost more than was reserved.
const PASSED_ON: &[&str] = &[
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "prompt_cache_key",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
];

/// What of a chat request decides its cost. Parameters that do not are passed on as they came.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ChatCompletionRequest)]
pub(crate) struct ChatRequest {
    /// A model of `GET /v1/models`.
    #[schema(example = "gpt-4o-mini")]
    pub(crate) model: String,
    /// The conversation, as `OpenAI` documents it: texts, and images by URL.
    #[schema(value_type = Vec<Object>)]
    messages: Vec<Message>,
    /// Whether to answer as server-sent events.
    stream: Option<bool>,
    /// Options of the stream.
    #[schema(value_type = Option<Object>)]
    stream_options: Option<StreamOptions>,
    /// The most tokens of one answer.
    #[schema(minimum = 1)]
    max_completion_tokens: Option<i64>,
    /// The same, by its older name.
    #[schema(minimum = 1)]
    max_tokens: Option<i64>,
    /// How many answers.
    #[schema(minimum = 1, maximum = 128)]
    n: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Message {
    content: Option<Content>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(#[expect(dead_code, reason = "its bytes are counted with the body's")] String),
    Parts(Vec<Part>),
}

/// Parts whose cost is known. Sound, video and files are refused with the rest.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    Text {},
    Refusal {},
    ImageUrl { image_url: ImageUrl },
}

#[derive(Debug, Deserialize)]
struct ImageUrl {
    url: String,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// A chat request that was understood, with the body it came in.
pub(crate) struct Chat<'a> {
    pub(crate) request: ChatRequest,
    fields: BTreeMap<&'a str, &'a RawValue>,
    bytes: usize,
}

impl<'a> Chat<'a> {
    pub(crate) fn read(body: &'a RawJson) -> Result<Self, Problem> {
        let request = body.parse()?;
        let fields: BTreeMap<&str, &RawValue> = serde_json::from_slice(&body.0)
            .map_err(|_| Problem::bad_request("malformed_json", "the body must be an object"))?;
        if let Some(unknown) = fields.keys().find(|name| !PASSED_ON.contains(name)) {
            let detail = "is not passed on, since it may change what a call costs";
            return Err(Problem::invalid_field(&format!("/{unknown}"), detail));
        }
        Ok(Self { request, fields, bytes: body.0.len() })
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.request.stream.unwrap_or(false)
    }

    /// Whether the client asked for the chunk with the usage at the end of the stream.
    pub(crate) fn wants_usage(&self) -> bool {
        self.request.stream_options.as_ref().is_some_and(|options| options.include_usage)
    }

    /// The most that the request can use.
    pub(crate) fn at_most(&self, model: &Model) -> Result<Quantities, Problem> {
        let answers = within("/n", self.request.n.unwrap_or(1), 128)?;
        Ok(Quantities {
            input_tokens: self.prompt_tokens_at_most(),
            output_tokens: answers * self.tokens_per_answer(model)?,
            ..Quantities::default()
        })
    }

    /// What the provider is sent: it is told the limit we reserved by, and to report the usage of a
    /// stream, whether the client wants either or not.
    pub(crate) fn into_body(self, model: &Model) -> Result<Bytes, Problem> {
        let limit = RawValue::from_string(self.tokens_per_answer(model)?.to_string());
        let limit = limit.map_err(Problem::internal)?;
        let report = RawValue::from_string(r#"{"include_usage":true}"#.to_owned());
        let report = report.map_err(Problem::internal)?;
        let (streamed, mut fields) = (self.is_stream(), self.fields);
        let old_name = fields.contains_key("max_tokens");
        fields.remove("max_completion_tokens");
        fields.insert(if old_name { "max_tokens" } else { "max_completion_tokens" }, &limit);
        if streamed {
            fields.insert("stream_options", &report);
        }
        serde_json::to_vec(&fields).map(Bytes::from).map_err(Problem::internal)
    }

    /// Where both names of the limit are given, providers disagree about which one counts.
    fn tokens_per_answer(&self, model: &Model) -> Result<i64, Problem> {
        let given = [
            ("/max_completion_tokens", self.request.max_completion_tokens),
            ("/max_tokens", self.request.max_tokens),
        ];
        let mut limit = None;
        for (pointer, tokens) in given {
            let tokens = tokens.map(|tokens| within(pointer, tokens, 10_000_000)).transpose()?;
            limit = limit.max(tokens);
        }
        Ok(limit.unwrap_or(model.max_output_tokens))
    }

    /// No text has more tokens than bytes, and the JSON around a message has more bytes than the
    /// tokens that separate messages. Counting exactly would cost 120 ms at start and 46 MB.
    fn prompt_tokens_at_most(&self) -> i64 {
        let contents = self.request.messages.iter().filter_map(|it| it.content.as_ref());
        let parts = contents.flat_map(|content| match content {
            Content::Text(_) => &[][..],
            Content::Parts(parts) => parts,
        });
        let images = parts.filter_map(|part| match part {
            Part::ImageUrl { image_url } => Some(image_url.url.len()),
            Part::Text {} | Part::Refusal {} => None,
        });
        let (count, bytes) = images.fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes));
        let text = i64::try_from(self.bytes.saturating_sub(bytes)).unwrap_or(i64::MAX);
        text.saturating_add(TOKENS_PER_IMAGE.saturating_mul(count))
    }
}

/// Refuses a count outside of 1 to `most`.
pub(crate) fn within(pointer: &str, count: i64, most: i64) -> Result<i64, Problem> {
    if (1..=most).contains(&count) {
        Ok(count)
    } else {
        Err(Problem::invalid_field(pointer, format!("must be between 1 and {most}")))
    }
}
