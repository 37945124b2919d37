use axum::{body::Bytes, extract::State, http::HeaderMap, response::Response};
use serde_json::{Value, json};
use tiktoken_rs::CoreBPE;

use super::{
    Endpoint, Fault, Usage,
    answer::{Answer, Heard},
    calls::{Call, Calls},
    error::{ApiError, Refusal},
    models::Model,
    request::ChatRequest,
    stream::{self, Frames},
    tokens, unique,
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
        let frames = completion.frames(&call);
        return Ok(stream::respond(call, frames));
    }
    let body = completion.body(call.usage(completion.usage));
    call.answer(&body).await
}

/// The answer to a call that came in a batch.
pub(super) fn in_batch(body: Value, tells_usage: bool) -> Result<Value, ApiError> {
    let request = ChatRequest::parse(body)?;
    if request.streams() {
        return Err(ApiError::invalid(Some("stream"), "Streaming is not supported in batches."));
    }
    let completion = Completion::of(&request, tokens::of_chat())?;
    Ok(completion.body(Some(completion.usage).filter(|_| tells_usage)))
}

/// A finished answer, before it is decided how it travels.
#[derive(Debug)]
struct Completion {
    id: String,
    model: Model,
    created: i64,
    choices: usize,
    answer: Answer,
    usage: Usage,
    wants_usage: bool,
}

impl Completion {
    fn of(request: &ChatRequest, bpe: &CoreBPE) -> Result<Self, ApiError> {
        let tool = request.tools().first().and_then(|tool| tool["function"]["name"].as_str());
        let heard = Heard {
            words: request.last_words(),
            tool,
            stops: request.stops(),
            limit: request.limit().unwrap_or(usize::MAX),
        };
        let answer = Answer::to(&heard, bpe);
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
    fn envelope(&self, object: &str, choices: Value) -> Value {
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

    /// The same answer as a stream.
    fn frames(&self, call: &Call) -> Frames {
        let finish = self.answer.finish_reason();
        let mut events = Vec::new();
        for index in 0..self.choices {
            let deltas = self.answer.deltas().into_iter();
            events.extend(deltas.map(|delta| self.chunk(index, &delta, None)));
            events.push(self.chunk(index, &json!({}), Some(finish)));
        }
        if let Some(usage) = call.usage(self.usage).filter(|_| self.wants_usage) {
            let mut last = self.envelope("chat.completion.chunk", json!([]));
            last["usage"] = usage.of_chat();
            let times = if call.fault == Some(Fault::UsageTwice) { 2 } else { 1 };
            events.extend(std::iter::repeat_n(last, times));
        }
        let frames = events.iter().map(Value::to_string).chain(["[DONE]".to_owned()]);
        Frames {
            frames: frames.map(|data| format!("data: {data}\n\n")).collect(),
            failure: format!("data: {}\n\n", ApiError::trouble(500, None).body()),
        }
    }

    fn chunk(&self, index: usize, delta: &Value, finish: Option<&str>) -> Value {
        let choice =
            json!({ "index": index, "delta": delta, "logprobs": null, "finish_reason": finish });
        let mut chunk = self.envelope("chat.completion.chunk", json!([choice]));
        if self.wants_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }
}
