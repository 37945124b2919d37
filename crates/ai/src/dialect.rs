use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, InvalidHeaderValue},
};
use kernel::Clock;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use usage::ModelKind;
use web::Problem;

use crate::{
    anthropic::{self, messages_request},
    asked::Operation,
    error::ProviderError,
    events::Blocks,
};

/// The version of Anthropic's API that is spoken.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// Where its answers are made, below the base URL.
pub(crate) const MESSAGES: &str = "/messages";

/// Which API a provider speaks. Inside the gateway everything has `OpenAI`'s shape: this is the one
/// place where a call is put into another's words and its answer back into ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// `OpenAI`'s, as most providers do.
    #[default]
    OpenAi,
    /// Anthropic's.
    Anthropic,
}

/// What a provider is sent.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Below the provider's base URL.
    pub(crate) path: &'static str,
    pub(crate) body: Bytes,
}

impl Dialect {
    /// What shows the provider our key.
    pub(crate) fn headers(self, key: &SecretString) -> Result<HeaderMap, InvalidHeaderValue> {
        let key = key.expose_secret();
        let (name, value) = match self {
            Self::OpenAi => (AUTHORIZATION, format!("Bearer {key}")),
            Self::Anthropic => (HeaderName::from_static("x-api-key"), key.to_owned()),
        };
        let mut value = HeaderValue::try_from(value)?;
        value.set_sensitive(true);
        let mut headers = HeaderMap::from_iter([(name, value)]);
        if self == Self::Anthropic {
            let version = HeaderValue::from_static(ANTHROPIC_VERSION);
            headers.insert(HeaderName::from_static("anthropic-version"), version);
        }
        Ok(headers)
    }

    /// A request in `OpenAI`'s shape, as the provider understands it.
    pub(crate) fn request(self, operation: Operation, body: Bytes) -> Result<Sent, Problem> {
        match self {
            Self::OpenAi => Ok(Sent { path: operation.path, body }),
            Self::Anthropic if operation.kind == ModelKind::Chat => {
                Ok(Sent { path: MESSAGES, body: messages_request(&body)? })
            }
            Self::Anthropic => {
                let detail = format!("the model's provider offers no {}", operation.name);
                Err(Problem::unprocessable("unsupported_operation", detail)
                    .action("See GET /v1/models for the models that can be called."))
            }
        }
    }

    /// A whole answer, in `OpenAI`'s shape; for a caller who speaks the provider's own API it carries
    /// the original along.
    pub(crate) fn answer(self, body: Bytes, caller: Self) -> Result<Bytes, ProviderError> {
        match self {
            Self::OpenAi => Ok(body),
            Self::Anthropic => anthropic::completion(&body, now(), caller == self)
                .ok_or_else(|| ProviderError::Lost { reason: "it is no answer".to_owned() }),
        }
    }

    /// The events of a streamed answer, likewise.
    pub(crate) fn stream(self, blocks: Blocks, caller: Self) -> Blocks {
        match self {
            Self::OpenAi => blocks,
            Self::Anthropic => anthropic::chunks(blocks, now(), caller == self),
        }
    }
}

/// Anthropic does not say when an answer was made, and `OpenAI`'s clients expect it.
fn now() -> i64 {
    Clock::System.now().timestamp()
}
