use std::fmt::{self, Formatter};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::Value;
use usage::{Model, Quantities};
use utoipa::ToSchema;
use web::{Problem, RawJson};

use crate::{
    Dialect,
    caching::Caching,
    payload::{Limit, Payload, refuse_unknown},
};

/// The most tokens that one image of a prompt counts as, with any model that Slipway ships a price
/// for: gpt-4o-mini at high detail, 2,833 + 8 × 5,667.
const TOKENS_PER_IMAGE: i64 = 49_000;

/// What providers add on their own to a prompt with tools or a schema; Anthropic up to about 500.
const TOKENS_OF_INSTRUCTIONS: i64 = 1_000;

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
    /// Tools of the caller's own.
    #[schema(value_type = Option<Vec<Object>>)]
    tools: Option<Vec<Tool>>,
    /// Text, or JSON by a schema.
    #[schema(value_type = Option<Object>)]
    response_format: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct Message {
    content: Option<Content>,
}

#[derive(Debug)]
enum Content {
    /// Its bytes are counted with the body's.
    Text,
    Parts(Vec<Part>),
}

/// Not derived: that would copy every text before it is found to be one.
impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Content;

            fn expecting(&self, to: &mut Formatter<'_>) -> fmt::Result {
                to.write_str("a text or a list of parts")
            }

            fn visit_str<E>(self, _: &str) -> Result<Content, E> {
                Ok(Content::Text)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Content, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(parts)).map(Content::Parts)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// Parts whose cost is known. Sound, video and files are refused with the rest.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    Text { cache_control: Option<Value> },
    Refusal {},
    ImageUrl { image_url: ImageUrl, cache_control: Option<Value> },
}

/// A tool, as far as its cost is concerned.
#[derive(Debug, Deserialize)]
struct Tool {
    cache_control: Option<Value>,
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

impl ChatRequest {
    /// What it asks Anthropic to cache, in Anthropic's words: parts and tools may say so.
    fn caching(&self) -> Result<Caching, Problem> {
        let mut all = Caching::None;
        let mut ask = |pointer: String, control: &Option<Value>| -> Result<(), Problem> {
            let asked = control.as_ref().map(|it| Caching::asked(&pointer, it)).transpose()?;
            all = all.max(asked.unwrap_or_default());
            Ok(())
        };
        for (turn, message) in self.messages.iter().enumerate() {
            let Some(Content::Parts(parts)) = &message.content else { continue };
            for (at, part) in parts.iter().enumerate() {
                if let Part::Text { cache_control } | Part::ImageUrl { cache_control, .. } = part {
                    ask(format!("/messages/{turn}/content/{at}/cache_control"), cache_control)?;
                }
            }
        }
        for (at, tool) in self.tools.iter().flatten().enumerate() {
            ask(format!("/tools/{at}/cache_control"), &tool.cache_control)?;
        }
        Ok(all)
    }
}

/// A chat request that was understood, with the body it came in.
pub(crate) struct Chat {
    pub(crate) request: ChatRequest,
    pub(crate) caching: Caching,
    json: Bytes,
}

impl Chat {
    pub(crate) fn read(body: RawJson) -> Result<Self, Problem> {
        let request: ChatRequest = body.parse()?;
        refuse_unknown(&body.0, PASSED_ON)?;
        let caching = request.caching()?;
        Ok(Self { request, caching, json: body.0 })
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.request.stream.unwrap_or(false)
    }

    /// Whether the client asked for the chunk with the usage at the end of the stream.
    pub(crate) fn wants_usage(&self) -> bool {
        self.request.stream_options.as_ref().is_some_and(|options| options.include_usage)
    }

    /// The most that the request can use with `model`.
    pub(crate) fn at_most(&self, model: &Model) -> Result<Quantities, Problem> {
        let answers = within("/n", self.request.n.unwrap_or(1), 128)?;
        Ok(Quantities {
            input_tokens: self.prompt_tokens_at_most(),
            output_tokens: answers.saturating_mul(self.limit()?.tokens(model)),
            ..Quantities::default()
        })
    }

    /// What a provider is sent.
    pub(crate) fn into_payload(self) -> Result<Payload, Problem> {
        let (limit, caching) = (Some(self.limit()?), self.caching);
        Ok(Payload { dialect: Dialect::OpenAi, limit, json: self.json, caching })
    }

    /// Where both names of the limit are given, providers disagree about which one counts.
    fn limit(&self) -> Result<Limit, Problem> {
        let request = &self.request;
        let given = [
            ("/max_completion_tokens", request.max_completion_tokens),
            ("/max_tokens", request.max_tokens),
        ];
        let mut tokens = None;
        for (pointer, given) in given {
            let given = given.map(|given| within(pointer, given, 10_000_000)).transpose()?;
            tokens = tokens.max(given);
        }
        let old_name = request.max_tokens.is_some();
        Ok(Limit { tokens, old_name, streamed: self.is_stream() })
    }

    /// No text has more tokens than bytes, and the JSON around a message has more bytes than the
    /// tokens that separate messages. Counting exactly would cost 120 ms at start and 46 MB.
    fn prompt_tokens_at_most(&self) -> i64 {
        let contents = self.request.messages.iter().filter_map(|it| it.content.as_ref());
        let parts = contents.flat_map(|content| match content {
            Content::Text => &[][..],
            Content::Parts(parts) => parts,
        });
        let images = parts.filter_map(|part| match part {
            Part::ImageUrl { image_url, .. } => Some(image_url.url.len()),
            Part::Text { .. } | Part::Refusal {} => None,
        });
        let (count, bytes) = images.fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes));
        let text = i64::try_from(self.json.len().saturating_sub(bytes)).unwrap_or(i64::MAX);
        let told = self.request.tools.is_some() || self.request.response_format.is_some();
        prompt_tokens_at_most(text, count, told)
    }
}

/// The most tokens of a prompt of so many bytes of text and so many images, `told` of tools or of the
/// form of the answer.
pub(crate) fn prompt_tokens_at_most(text: i64, images: i64, told: bool) -> i64 {
    let instructions = if told { TOKENS_OF_INSTRUCTIONS } else { 0 };
    text.saturating_add(TOKENS_PER_IMAGE.saturating_mul(images)).saturating_add(instructions)
}

/// Refuses a count outside of 1 to `most`.
pub(crate) fn within(pointer: &str, count: i64, most: i64) -> Result<i64, Problem> {
    if (1..=most).contains(&count) {
        Ok(count)
    } else {
        Err(Problem::invalid_field(pointer, format!("must be between 1 and {most}")))
    }
}
