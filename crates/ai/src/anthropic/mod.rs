//! Anthropic's Messages API in terms of `OpenAI`'s chat completions, and the other way round. Pure:
//! bytes in, bytes out. What has no counterpart is refused by name, never dropped.
//!
//! Inside the gateway every answer has `OpenAI`'s shape. For a caller who speaks Anthropic's API an
//! answer from Anthropic carries what it was along, as a member `anthropic`, and so arrives untouched.

mod answer;
mod conversation;
mod events;
pub(crate) mod inbound;
mod request;

pub(crate) use answer::completion;
pub(crate) use events::chunks;
pub(crate) use request::messages_request;
