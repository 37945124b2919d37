use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::header,
    response::{IntoResponse, Response},
};
use futures::{Stream, stream};
use tokio::sync::mpsc;

use super::{Fault, calls::Call, error::Cut};

type Sender = mpsc::Sender<Result<Bytes, Cut>>;

/// The events of a stream, ready to be sent. The last one is its end.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) frames: Vec<String>,
    /// What comes instead of the rest when the provider fails in the middle.
    pub(super) failure: String,
}

/// Answers with server-sent events.
pub(super) fn respond(call: Call, events: Frames) -> Response {
    let (sender, receiver) = mpsc::channel(1);
    let pump = Pump { call, sender, last: events.frames.len().saturating_sub(1) };
    tokio::spawn(pump.run(events));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Body::from_stream(flushing(receiver))).into_response()
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
    async fn run(mut self, events: Frames) -> Result<(), Over> {
        let Frames { mut frames, failure } = events;
        let end = frames.pop().unwrap_or_default();
        for (sent, frame) in frames.into_iter().enumerate() {
            self.meet_fault(sent, &failure).await?;
            self.send(frame).await?;
        }
        self.meet_fault(self.last, &failure).await?;
        // Whoever has read the end may rely on the call being over.
        let ends = self.call.fault != Some(Fault::NoDone);
        drop(self.call);
        if !ends {
            return Ok(());
        }
        self.sender.send(Ok(end.into())).await.map_err(|_| Over)
    }

    async fn meet_fault(&mut self, sent: usize, failure: &str) -> Result<(), Over> {
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
                self.send("data: {\"id\":\"chatcmpl-\n\n".into()).await?;
            }
            Some(Fault::ErrorAfter { chunks }) if due(chunks) => {
                self.send(failure.to_owned()).await?;
                return Err(Over);
            }
            Some(Fault::HeartbeatsAfter { chunks, beats, millis_per_beat }) if due(chunks) => {
                for _ in 0..beats {
                    tokio::time::sleep(Duration::from_millis(millis_per_beat)).await;
                    self.send(": heartbeat\n\n".into()).await?;
                }
            }
            Some(Fault::EndlessAfter { chunks }) if due(chunks) => loop {
                self.send("a".repeat(8192)).await?;
            },
            Some(Fault::Slow { millis_per_chunk }) => {
                let pause = Duration::from_millis(millis_per_chunk);
                let _ = tokio::time::timeout(pause, self.sender.closed()).await;
            }
            _ => {}
        }
        Ok(())
    }

    async fn send(&mut self, frame: String) -> Result<(), Over> {
        self.sender.send(Ok(frame.into())).await.map_err(|_| {
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
