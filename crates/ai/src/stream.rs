use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use eventsource_stream::{Event, EventStream, Eventsource};
use futures::{Stream, StreamExt};
use quotas::Hold;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use usage::{Outcome, Quantities};
use web::Problem;

use crate::{
    Ai,
    gateway::Asked,
    usage_report::{UsageReport, estimate_tokens},
};

/// How long a client may leave its stream unread before we go on without it.
const STALLED: Duration = Duration::from_secs(30);
/// How many events may wait for a slow client.
const WAITING: usize = 64;

/// One chunk of a streamed completion, as far as we need to understand it.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<UsageReport>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: serde_json::Value,
}

/// Asks the provider for a stream and passes it on. The answer is only begun once the provider's
/// has, so that until then failures have a status of their own.
pub(crate) async fn answer(ai: &Ai, asked: Asked, wants_usage: bool) -> Result<Response, Problem> {
    let (events, client) = mpsc::channel(WAITING);
    let (begun, begins) = oneshot::channel();
    let owner = ai.clone();
    ai.spawn(async move {
        let sent = asked.body.len();
        match begin(&owner, asked).await {
            Ok((hold, response)) => {
                // Whoever waited for the beginning may have gone; the pump notices.
                let _ = begun.send(Ok(()));
                let upstream = response.bytes_stream().eventsource();
                let pump = Pump { wants_usage, client: Some(events), delivered: 0, report: None };
                pump.run(&owner, &hold, sent, upstream).await;
            }
            Err(problem) => {
                let _ = begun.send(Err(problem));
            }
        }
    });
    begins.await.unwrap_or_else(|error| Err(Problem::internal(error)))?;
    let body = Body::from_stream(ReceiverStream::new(client).map(Ok::<_, Infallible>));
    Ok(([(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")], body).into_response())
}

async fn begin(ai: &Ai, asked: Asked) -> Result<(Hold, reqwest::Response), Problem> {
    let hold = ai.reserve(asked.call).await?;
    match ai.provider().post(asked.operation.path, asked.body).await {
        Ok(response) => Ok((hold, response)),
        Err(error) => {
            ai.book_failure(&hold, &error).await;
            Err(error.into())
        }
    }
}

/// Moves events from the provider to the client, and remembers what they cost.
struct Pump {
    wants_usage: bool,
    /// `None` once the client has gone; the provider bills the rest all the same.
    client: Option<mpsc::Sender<Bytes>>,
    /// Bytes of text that were passed on.
    delivered: usize,
    report: Option<UsageReport>,
}

impl Pump {
    async fn run<S, E>(mut self, ai: &Ai, hold: &Hold, sent: usize, mut upstream: EventStream<S>)
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let end = loop {
            match tokio::time::timeout(ai.idle, upstream.next()).await {
                Ok(Some(Ok(event))) if event.data == "[DONE]" => break Ok(()),
                Ok(Some(Ok(event))) => {
                    if let Err(reason) = self.pass_on(event).await {
                        break Err(reason);
                    }
                }
                Ok(Some(Err(_))) => break Err("the provider's stream broke"),
                // Some compatible servers end without [DONE].
                Ok(None) if self.report.is_some() => break Ok(()),
                Ok(None) => break Err("the provider's stream ended early"),
                Err(_) => break Err("the provider stopped answering"),
            }
        };
        let outcome = if end.is_ok() { Outcome::Succeeded } else { Outcome::Partial };
        let counted = self.report.map(Quantities::from);
        let quantities = counted.unwrap_or_else(|| Quantities {
            input_tokens: estimate_tokens(sent),
            output_tokens: estimate_tokens(self.delivered),
            ..Quantities::default()
        });
        // Booked before the end is passed on: a client that saw the end sees the cost.
        ai.book(hold, outcome, quantities, counted.is_none()).await;
        if let Err(reason) = end {
            let error = json!({ "error": { "message": reason, "type": "server_error", "code": "ai_unavailable" } });
            self.send(&error.to_string()).await;
        }
        self.send("[DONE]").await;
    }

    async fn pass_on(&mut self, event: Event) -> Result<(), &'static str> {
        let chunk: Chunk = serde_json::from_str(&event.data)
            .map_err(|_| "the provider sent something unreadable")?;
        let only_usage = chunk.choices.is_empty() && chunk.usage.is_some();
        self.report = chunk.usage.or(self.report);
        self.delivered += chunk.choices.iter().map(text_length).sum::<usize>();
        if self.wants_usage || !only_usage {
            self.send(&event.data).await;
        }
        Ok(())
    }

    async fn send(&mut self, data: &str) {
        let Some(client) = &self.client else { return };
        let event = Bytes::from(format!("data: {data}\n\n"));
        let sent = tokio::time::timeout(STALLED, client.send(event)).await;
        if !matches!(sent, Ok(Ok(()))) {
            self.client = None;
        }
    }
}

/// Bytes of the answer in a chunk: text, and arguments of tool calls.
fn text_length(choice: &Choice) -> usize {
    let text = |value: &serde_json::Value| value.as_str().map_or(0, str::len);
    let tools = choice.delta["tool_calls"].as_array().into_iter().flatten();
    text(&choice.delta["content"])
        + tools.map(|call| text(&call["function"]["arguments"])).sum::<usize>()
}
