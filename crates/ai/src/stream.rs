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
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use usage::{Outcome, Quantities};
use web::Problem;

use crate::{
    Ai,
    gateway::Operation,
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
pub(crate) async fn answer(
    ai: &Ai,
    operation: Operation,
    hold: Hold,
    body: Bytes,
    wants_usage: bool,
) -> Result<Response, Problem> {
    let (events, client) = mpsc::channel(WAITING);
    let sent = body.len();
    let owner = ai.clone();
    let task = ai.spawn(async move {
        match owner.provider().post(operation.path, body).await {
            Ok(response) => {
                let upstream = response.bytes_stream().eventsource();
                let pump = Pump { wants_usage, client: Some(events), delivered: 0, report: None };
                let idle = owner.idle;
                let pumping = owner.clone();
                pumping.spawn(async move { pump.run(&owner, &hold, sent, upstream, idle).await });
                Ok(())
            }
            Err(error) => {
                owner.book_failure(&hold, &error).await;
                Err(Problem::from(error))
            }
        }
    });
    task.await.unwrap_or_else(|error| Err(Problem::internal(error)))?;
    let body = Body::from_stream(ReceiverStream::new(client).map(Ok::<_, Infallible>));
    Ok(([(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")], body).into_response())
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
    async fn run<S, E>(
        mut self,
        ai: &Ai,
        hold: &Hold,
        sent: usize,
        mut upstream: EventStream<S>,
        idle: Duration,
    ) where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let end = loop {
            match tokio::time::timeout(idle, upstream.next()).await {
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
