use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use quotas::Hold;
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use usage::{Outcome, Quantities};

use crate::{
    Ai,
    booking::{Booked, estimate},
    chunk::{Chunk, is_finish},
    client::Client,
    error::ProviderError,
    events::{Blocks, data, first_end},
    hits::Receipt,
    lease::Lease,
    streams::Recorded,
    usage_report::UsageReport,
};

/// While the provider thinks, proxies on the way to the client see that the connection lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Moves events from the provider to the client, and remembers what they cost.
pub(crate) struct Pump {
    wants_usage: bool,
    client: Client,
    /// Whoever lost its connection may join again.
    recorded: Arc<Recorded>,
    /// Bytes of text that came.
    delivered: usize,
    report: Option<UsageReport>,
    /// The last chunk with a choice, to see whether it ended the answer.
    last: Bytes,
}

/// Why the stream is over.
enum End {
    /// The provider said all.
    Complete,
    /// The client has left and the provider bills no more.
    Cancelled,
    /// For that reason.
    Broken(&'static str),
}

impl Pump {
    pub(crate) fn new(
        client: mpsc::Sender<Bytes>,
        recorded: Arc<Recorded>,
        wants_usage: bool,
    ) -> Self {
        Self {
            wants_usage,
            client: Client::new(client),
            recorded,
            delivered: 0,
            report: None,
            last: Bytes::new(),
        }
    }

    pub(crate) async fn run(
        mut self,
        ai: &Ai,
        mut lease: Lease,
        at_most: Quantities,
        blocks: Blocks,
        receipt: Option<Receipt>,
    ) {
        let end = self.pass_all_on(blocks, ai, &mut lease).await;
        if let Some((receipt, booked)) =
            receipt.zip(self.book(ai, &lease.hold, at_most, &end).await)
        {
            receipt.fill(&lease.hold, &booked);
        }
        if let End::Broken(reason) = end {
            let error = json!({ "error": { "message": reason, "type": "server_error", "code": "ai_unavailable" } });
            self.tell(format!("data: {error}\n\n").into()).await;
        }
        self.tell(Bytes::from_static(b"data: [DONE]\n\n")).await;
    }

    /// `None`: the provider billed nothing, for all we know.
    async fn book(&self, ai: &Ai, hold: &Hold, at_most: Quantities, end: &End) -> Option<Booked> {
        let counted = self.report.and_then(UsageReport::quantities);
        let outcome = match end {
            End::Broken(reason) if self.delivered == 0 && counted.is_none() => {
                let error = ProviderError::Lost { reason: (*reason).to_owned() };
                ai.book_failure(hold, &error).await;
                return None;
            }
            End::Broken(_) | End::Cancelled => Outcome::Partial,
            End::Complete => Outcome::Succeeded,
        };
        Some(ai.book(hold, outcome, counted, estimate(at_most, self.delivered)).await)
    }

    /// Until the stream's end. The provider's connection is closed with it.
    async fn pass_all_on(&mut self, mut blocks: Blocks, ai: &Ai, lease: &mut Lease) -> End {
        let mut silent = Duration::ZERO;
        while lease.keep(ai).await {
            let remaining = lease.deadline().saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return End::Broken("the answer took too long");
            }
            let wait = KEEP_ALIVE.min(remaining).min(ai.idle.saturating_sub(silent));
            let next = tokio::select! {
                next = timeout(wait, blocks.next()) => next,
                () = self.client.left(), if ai.cancels => return End::Cancelled,
            };
            match next {
                Ok(Some(Ok(block))) => match self.pass_on(block).await {
                    Ok(false) => silent = Duration::ZERO,
                    Ok(true) => return End::Complete,
                    Err(reason) => return End::Broken(reason),
                },
                Ok(Some(Err(reason))) => return End::Broken(reason),
                // Some compatible servers end without [DONE].
                Ok(None) if self.report.is_some() && is_finish(&self.last) => return End::Complete,
                Ok(None) => return End::Broken("the provider's stream ended early"),
                Err(_) => {
                    silent += wait;
                    if silent >= ai.idle {
                        return End::Broken("the provider stopped answering");
                    }
                    self.client.send(Bytes::from_static(b": keep-alive\n\n")).await;
                }
            }
        }
        End::Broken("its reservation was ended")
    }

    /// Sends on what is for the client; whether the end was among it.
    async fn pass_on(&mut self, block: Bytes) -> Result<bool, &'static str> {
        let (mut sent, mut at) = (0, 0);
        while at < block.len() {
            let end = at + first_end(&block[at..]);
            let read = self.read(&block.slice(at..end));
            if !matches!(read, Ok(Fate::Pass)) {
                self.tell(block.slice(sent..at)).await;
                sent = end;
            }
            if matches!(read?, Fate::End) {
                return Ok(true);
            }
            at = end;
        }
        self.tell(block.slice(sent..)).await;
        Ok(false)
    }

    fn read(&mut self, event: &Bytes) -> Result<Fate, &'static str> {
        // A comment is a sign of life.
        let Some(data) = data(event) else { return Ok(Fate::Pass) };
        if *data == *b"[DONE]" {
            return Ok(Fate::End);
        }
        let chunk = Chunk::read(&data)?;
        self.delivered += chunk.text;
        self.report = chunk.usage.or(self.report);
        if !chunk.only_usage {
            self.last = event.clone();
        }
        Ok(if chunk.only_usage && !self.wants_usage { Fate::Keep } else { Fate::Pass })
    }

    /// Sends events, which may be joined again.
    async fn tell(&mut self, events: Bytes) {
        if !events.is_empty() {
            self.recorded.push(&events);
            self.client.send(events).await;
        }
    }
}

/// What becomes of an event.
enum Fate {
    Pass,
    /// Nobody asked for it.
    Keep,
    /// It ends the stream; our own end follows once the call is booked.
    End,
}
