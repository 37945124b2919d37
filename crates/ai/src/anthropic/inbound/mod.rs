//! Callers who speak the Messages API.

mod answer;
mod checked;
mod events;
mod request;
#[cfg(test)]
mod round_trip;
mod turns;

pub(crate) use answer::message;
pub(crate) use checked::MessagesRequest;
pub(crate) use events::messages;
pub(crate) use request::chat_request;
