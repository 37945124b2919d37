use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use futures::{Stream, stream};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Fault, calls::Call, chat::Completion, error::Cut};

type Sender = mpsc::Sender<Result<Bytes, Cut>>;

/// Answers with server-sent events.
pub(super) fn respond(call: Call, completion: &Completion) -> Response {
    let events = events(&call, completion);
    let (sender, receiver) = mpsc::channel(1);
    let pump = Pump { call, sender, last: events.len() };
    tokio::spawn(pump.run(events));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Body::from_stream(flushing(receiver))).into_response()
}

fn events(call: &Call, completion: &Completion) -> Vec<Value> {
    let chunk = |index: usize, delta: Value, finish: Option<&str>| {
        let choice =
            json!({ "index": index, "delta": delta, "logprobs": null, "finish_reason": finish });
        let mut chunk = completion.envelope("chat.completion.chunk", json!([choice]));
        if completion.wants_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    };
    let finish = completion.answer.finish_reason();
    let mut events = Vec::new();
    for index in 0..completion.choices {
        events
            .extend(completion.answer.deltas().into_iter().map(|delta| chunk(index, delta, None)));
        events.push(chunk(index, json!({}), Some(finish)));
    }
    if let Some(usage) = call.usage(completion.usage).filter(|_| completion.wants_usage) {
        let mut last = completion.envelope("chat.completion.chunk", json!([]));
        last["usage"] = usage.of_chat();
        let times = if call.fault == Some(Fault::UsageTwice) { 2 } else { 1 };
        events.extend(std::iter::repeat_n(last, times));
    }
    events
}

/// A stream on its way.
struct Pump {
    call: Call,
    sender: Sender,
    last: usize,
}

/// The stream ends early: the client has gone, or the connection was to be cut.
struct Over;

impl Pump {
    async fn run(mut self, events: Vec<Value>) -> Result<(), Over> {
        for (sent, event) in events.iter().enumerate() {
            self.meet_fault(sent).await?;
            self.send(event.to_string()).await?;
        }
        self.meet_fault(self.last).await?;
        // Whoever has read the end may rely on the call being over.
        drop(self.call);
        self.sender.send(Ok("data: [DONE]\n\n".into())).await.map_err(|_| Over)
    }

    async fn meet_fault(&mut self, sent: usize) -> Result<(), Over> {
        let due = |chunks: usize| sent == chunks.min(self.last);
        match self.call.fault {
            Some(Fault::CutAfter { chunks }) if due(chunks) => {
                let _ = self.sender.send(Err(Cut)).await;
                return Err(Over);
            }
            Some(Fault::HangAfter { chunks }) if due(chunks) => {
                tokio::select! {
                    () = self.sender.closed() => return Err(Over),
                    () = self.call.released() => {}
                }
            }
            Some(Fault::MalformedAfter { chunks }) if due(chunks) => {
                self.send("{\"id\":\"chatcmpl-".into()).await?;
            }
            Some(Fault::Slow { millis_per_chunk }) => {
                let pause = Duration::from_millis(millis_per_chunk);
                let _ = tokio::time::timeout(pause, self.sender.closed()).await;
            }
            _ => {}
        }
        Ok(())
    }

    async fn send(&mut self, data: String) -> Result<(), Over> {
        self.sender.send(Ok(format!("data: {data}\n\n").into())).await.map_err(|_| {
            self.call.abandoned = true;
            Over
        })
    }
}

/// The body of a stream, of which everything before a cut arrives.
fn flushing(
    receiver: mpsc::Receiver<Result<Bytes, Cut>>,
) -> impl Stream<Item = Result<Bytes, Cut>> {
    stream::unfold(receiver, async |mut receiver| {
        let item = receiver.recv().await?;
        if item.is_err() {
            // hyper flushes what it has when a body pauses, and forgets it when a body fails.
            tokio::task::yield_now().await;
        }
        Some((item, receiver))
    })
}
