use serde::Deserialize;
use usage::{Model, Quantities};
use utoipa::ToSchema;
use web::Problem;

/// The most tokens that one image of a prompt is counted as, at any detail, by the providers whose
/// models Slipway ships prices for.
const TOKENS_PER_IMAGE: i64 = 48_000;

/// The parts of a chat request that decide what it can cost. The rest is passed on as it came.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ChatCompletionRequest)]
pub(crate) struct ChatRequest {
    /// A model of `GET /v1/models`.
    #[schema(example = "gpt-4o-mini")]
    pub(crate) model: String,
    /// The conversation, as `OpenAI` documents it.
    #[schema(value_type = Vec<Object>)]
    pub(crate) messages: Vec<Message>,
    /// Whether to answer as server-sent events.
    #[serde(default)]
    pub(crate) stream: bool,
    /// Options of the stream.
    #[schema(value_type = Object)]
    pub(crate) stream_options: Option<StreamOptions>,
    /// The most tokens of one answer.
    #[schema(minimum = 1)]
    pub(crate) max_completion_tokens: Option<i64>,
    /// The same, by its older name.
    #[schema(minimum = 1)]
    pub(crate) max_tokens: Option<i64>,
    /// How many answers.
    #[schema(minimum = 1, maximum = 128)]
    pub(crate) n: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Message {
    #[serde(default)]
    content: Content,
}

#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Content {
    Parts(Vec<Part>),
    #[default]
    Text,
    Other(serde::de::IgnoredAny),
}

#[derive(Debug, Deserialize)]
struct Part {
    image_url: Option<ImageUrl>,
}

#[derive(Debug, Deserialize)]
struct ImageUrl {
    url: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct StreamOptions {
    #[serde(default)]
    pub(crate) include_usage: bool,
}

impl ChatRequest {
    /// The most that the request can use: `bytes` is the length of its body.
    pub(crate) fn at_most(&self, bytes: usize, model: &Model) -> Result<Quantities, Problem> {
        let answers = within("/n", self.n.unwrap_or(1), 128)?;
        let given = self.max_completion_tokens.or(self.max_tokens);
        let per_answer =
            within("/max_completion_tokens", given.unwrap_or(model.max_output_tokens), 10_000_000)?;
        Ok(Quantities {
            input_tokens: self.prompt_tokens_at_most(bytes),
            output_tokens: answers * per_answer,
            ..Quantities::default()
        })
    }

    /// No text has more tokens than bytes, and the JSON around a message has more bytes than the
    /// tokens that separate messages. Counting exactly would cost 120 ms at start and 46 MB.
    fn prompt_tokens_at_most(&self, bytes: usize) -> i64 {
        let parts = self.messages.iter().filter_map(|message| match &message.content {
            Content::Parts(parts) => Some(parts),
            Content::Text | Content::Other(_) => None,
        });
        let images: Vec<usize> = parts
            .flatten()
            .filter_map(|part| part.image_url.as_ref())
            .map(|image| image.url.len())
            .collect();
        let text = bytes.saturating_sub(images.iter().sum());
        let images = i64::try_from(images.len()).unwrap_or(i64::MAX);
        i64::try_from(text)
            .unwrap_or(i64::MAX)
            .saturating_add(images.saturating_mul(TOKENS_PER_IMAGE))
    }

    /// Whether the client asked for the chunk with the usage at the end of the stream.
    pub(crate) fn wants_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage)
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
