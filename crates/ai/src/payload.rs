use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use usage::Model;
use web::Problem;

use crate::{
    Dialect,
    anthropic::inbound::chat_request,
    asked::Operation,
    caching::{Caching, without_control},
    dialect::{MESSAGES, Sent},
};

type Fields<'a> = BTreeMap<&'a str, &'a RawValue>;

/// The body of a call. It can be addressed to any model that may serve the call; what the client
/// wrote is passed on as it came, or translated if the provider speaks another API.
#[derive(Debug)]
pub(crate) struct Payload {
    /// The API whose words the client uses.
    pub(crate) dialect: Dialect,
    pub(crate) json: Bytes,
    /// Of calls whose answer is made of tokens.
    pub(crate) limit: Option<Limit>,
    pub(crate) caching: Caching,
}

/// How long an answer may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// As the client asked; else as the model can.
    pub(crate) tokens: Option<i64>,
    /// Whether the client used the limit's older name, which older servers know only.
    pub(crate) old_name: bool,
    pub(crate) streamed: bool,
}

impl Limit {
    pub(crate) fn tokens(self, model: &Model) -> i64 {
        self.tokens.unwrap_or(model.max_output_tokens)
    }
}

impl Payload {
    /// What a provider that speaks `dialect` is sent for `model`.
    pub(crate) fn addressed_to(
        &self,
        model: &Model,
        dialect: Dialect,
        operation: Operation,
    ) -> Result<Sent, Problem> {
        match (self.dialect, dialect) {
            (Dialect::OpenAi, Dialect::OpenAi) if self.caching != Caching::None => {
                let json = without_control(&self.json)?;
                dialect.request(operation, limited(&json, self.limit, model)?)
            }
            (Dialect::OpenAi, _) => {
                dialect.request(operation, limited(&self.json, self.limit, model)?)
            }
            (Dialect::Anthropic, Dialect::OpenAi) => {
                let chat = chat_request(&self.json)?;
                dialect.request(operation, limited(&chat, self.limit, model)?)
            }
            // Its limit is the client's own, which the API demands.
            (Dialect::Anthropic, Dialect::Anthropic) => {
                Ok(Sent { path: MESSAGES, body: limited(&self.json, None, model)? })
            }
        }
    }
}

/// The request `json` for `model`: it is told the limit we reserved by, and to report the usage of a
/// stream, whether the client wants either or not.
fn limited(json: &[u8], limit: Option<Limit>, model: &Model) -> Result<Bytes, Problem> {
    let mut fields = fields(json)?;
    let name = raw(&model.name)?;
    fields.insert("model", &name);
    let (tokens, report) =
        (raw(&limit.map(|it| it.tokens(model)))?, raw(&StreamOptions { include_usage: true })?);
    if let Some(Limit { old_name, streamed, .. }) = limit {
        fields.remove("max_completion_tokens");
        fields.insert(if old_name { "max_tokens" } else { "max_completion_tokens" }, &tokens);
        if streamed {
            fields.insert("stream_options", &report);
        }
    }
    serde_json::to_vec(&fields).map(Bytes::from).map_err(Problem::internal)
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// Refuses parameters that are not `known` to leave the price of a token alone.
pub(crate) fn refuse_unknown(json: &[u8], known: &[&str]) -> Result<(), Problem> {
    match fields(json)?.keys().find(|name| !known.contains(name)) {
        None => Ok(()),
        Some(unknown) => {
            let detail = "is not passed on, since it may change what a call costs";
            Err(Problem::invalid_field(&format!("/{unknown}"), detail))
        }
    }
}

fn fields(json: &[u8]) -> Result<Fields<'_>, Problem> {
    serde_json::from_slice(json)
        .map_err(|_| Problem::bad_request("malformed_json", "the body must be an object"))
}

fn raw(value: &impl Serialize) -> Result<Box<RawValue>, Problem> {
    to_raw_value(value).map_err(Problem::internal)
}
