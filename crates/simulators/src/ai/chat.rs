use axum::{body::Bytes, extract::State, http::HeaderMap, response::Response};
use serde_json::{Value, json};
use tiktoken_rs::CoreBPE;

use super::{
    Endpoint, Usage,
    answer::Answer,
    calls::Calls,
    error::{ApiError, Refusal},
    models::Model,
    request::ChatRequest,
    stream, tokens, unique,
};
use crate::clock::now;

pub(super) async fn create(
    State(calls): State<Calls>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let (call, body) = calls.enter(Endpoint::Chat, &headers, &body).await?;
    let request = ChatRequest::parse(body)?;
    let streams = request.streams();
    let completion =
        tokens::off_thread(move || Completion::of(&request, tokens::of_chat())).await?;
    if streams {
        return Ok(stream::respond(call, &completion));
    }
    let body = completion.body(call.usage(completion.usage));
    call.answer(&body).await
}

/// A finished answer, before it is decided how it travels.
#[derive(Debug)]
pub(super) struct Completion {
    id: String,
    model: Model,
    created: i64,
    pub(super) choices: usize,
    pub(super) answer: Answer,
    pub(super) usage: Usage,
    pub(super) wants_usage: bool,
}

impl Completion {
    fn of(request: &ChatRequest, bpe: &CoreBPE) -> Result<Self, ApiError> {
        let answer = Answer::of(request, bpe);
        let choices = request.choices();
        Ok(Self {
            id: unique("chatcmpl-"),
            model: Model::find(&request.model)?,
            created: now(),
            choices,
            usage: Usage::new(
                tokens::count_prompt(bpe, request),
                answer.tokens * tokens::to_i64(choices),
            ),
            answer,
            wants_usage: request.wants_usage(),
        })
    }

    /// The fields all objects of one completion share.
    pub(super) fn envelope(&self, object: &str, choices: Value) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model.snapshot,
            "service_tier": "default",
            "system_fingerprint": "fp_simulator",
            "choices": choices,
        })
    }

    fn body(&self, usage: Option<Usage>) -> Value {
        let choices = (0..self.choices).map(|index| {
            json!({
                "index": index,
                "message": self.answer.message(),
                "logprobs": null,
                "finish_reason": self.answer.finish_reason(),
            })
        });
        let mut body = self.envelope("chat.completion", choices.collect());
        if let Some(usage) = usage {
            body["usage"] = usage.of_chat();
        }
        body
    }
}
