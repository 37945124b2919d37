use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use eventsource_stream::{Event, EventStream, Eventsource};
use futures::{Stream, StreamExt, TryStreamExt};
use quotas::Hold;
use serde::Deserialize;
use serde_json::json;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use usage::{Outcome, Quantities};
use web::Problem;

use crate::{
    Ai,
    asked::Asked,
    booking::estimate,
    error::ProviderError,
    gateway::{Begun, Server},
    usage_report::UsageReport,
};

/// How long a client may leave its stream unread before we go on without it.
const STALLED: Duration = Duration::from_secs(30);
/// How many events may wait for a slow client.
const WAITING: usize = 64;

/// One chunk of a streamed completion, as far as we need to understand it.
#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<UsageReport>,
    error: Option<serde::de::IgnoredAny>,
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
        let caller = asked.payload.dialect;
        match begin(&owner, asked, &begun).await {
            Ok((hold, deadline, Begun { response, dialect, at_most, server })) => {
                // Whoever waited for the beginning may have gone; the pump notices.
                let _ = begun.send(Ok(server));
                let blocks = response.bytes_stream().map_err(|_| "the connection broke").boxed();
                let upstream = dialect.stream(blocks, caller).eventsource();
                let pump = Pump { wants_usage, client: Some(events), delivered: 0, report: None };
                pump.run(&owner, &hold, deadline, at_most, upstream).await;
            }
            Err(problem) => {
                let _ = begun.send(Err(problem));
            }
        }
    });
    let server = begins.await.unwrap_or_else(|error| Err(Problem::internal(error)))?;
    let body = Body::from_stream(ReceiverStream::new(client).map(Ok::<_, Infallible>));
    let kind = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")];
    Ok((kind, server.headers(), body).into_response())
}

async fn begin(
    ai: &Ai,
    asked: Asked,
    client: &oneshot::Sender<Result<Server, Problem>>,
) -> Result<(Hold, Instant, Begun), Problem> {
    let mut hold = ai.admit(asked.call.clone()).await?;
    // One deadline for beginning and streaming together: both must end before the reservation does.
    let deadline = Instant::now() + ai.time_limit();
    if client.is_closed() {
        ai.release(&hold).await;
        return Err(Problem::internal(anyhow::anyhow!("the client has gone")));
    }
    let begun = timeout_at(deadline, ai.begin(&asked, &mut hold)).await;
    match begun.unwrap_or_else(|_| Err(ProviderError::outlived())) {
        Ok(begun) => Ok((hold, deadline, begun)),
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
    async fn run<S, E>(
        mut self,
        ai: &Ai,
        hold: &Hold,
        deadline: Instant,
        at_most: Quantities,
        mut upstream: EventStream<S>,
    ) where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let passing = self.pass_all_on(&mut upstream, ai.idle);
        let passed = timeout_at(deadline, passing).await;
        let end = passed.unwrap_or(Err("the answer took too long"));
        let counted = self.report.and_then(UsageReport::quantities);
        // Booked before the end is passed on: a client that saw the end sees the cost.
        match end {
            Err(reason) if self.delivered == 0 && counted.is_none() => {
                let error = ProviderError::Lost { reason: reason.to_owned() };
                ai.book_failure(hold, &error).await;
            }
            Err(_) => {
                ai.book(hold, Outcome::Partial, counted, estimate(at_most, self.delivered)).await;
            }
            Ok(()) => {
                ai.book(hold, Outcome::Succeeded, counted, estimate(at_most, self.delivered)).await;
            }
        }
        if let Err(reason) = end {
            let error = json!({ "error": { "message": reason, "type": "server_error", "code": "ai_unavailable" } });
            self.send(&error.to_string()).await;
        }
        self.send("[DONE]").await;
    }

    /// Until the stream's end; the error says why it is none.
    async fn pass_all_on<S, E>(
        &mut self,
        upstream: &mut EventStream<S>,
        idle: Duration,
    ) -> Result<(), &'static str>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        loop {
            match tokio::time::timeout(idle, upstream.next()).await {
                Ok(Some(Ok(event))) if event.data == "[DONE]" => return Ok(()),
                Ok(Some(Ok(event))) => self.pass_on(event).await?,
                Ok(Some(Err(_))) => return Err("the provider's stream broke"),
                // Some compatible servers end without [DONE].
                Ok(None) if self.report.is_some() => return Ok(()),
                Ok(None) => return Err("the provider's stream ended early"),
                Err(_) => return Err("the provider stopped answering"),
            }
        }
    }

    async fn pass_on(&mut self, event: Event) -> Result<(), &'static str> {
        let chunk: Chunk = serde_json::from_str(&event.data)
            .map_err(|_| "the provider sent something unreadable")?;
        if chunk.error.is_some() {
            return Err("the provider failed in the middle of the answer");
        }
        let choices = chunk.choices.unwrap_or_default();
        let only_usage = choices.is_empty() && chunk.usage.is_some();
        self.report = chunk.usage.or(self.report);
        self.delivered += choices.iter().map(text_length).sum::<usize>();
        if self.wants_usage || !only_usage {
            self.send(&event.data).await;
        }
        Ok(())
    }

    async fn send(&mut self, data: &str) {
        let Some(client) = &self.client else { return };
        let lines = data.replace('\n', "\ndata: ");
        let event = Bytes::from(format!("data: {lines}\n\n"));
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
