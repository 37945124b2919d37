use std::convert::Infallible;

use axum::{
    body::Body,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use http_body_util::BodyExt;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout_at,
};
use tokio_stream::wrappers::ReceiverStream;
use tracing::Instrument;
use web::Problem;

use crate::{
    Ai, asked::Asked, error::ProviderError, events, gateway::Begun, headers::Told, lease::Lease,
    pump::Pump,
};

/// How many blocks of events may wait for a slow client.
const WAITING: usize = 32;

/// Asks the provider for a stream and passes it on. The answer is only begun once the provider's
/// has, so that until then failures have a status of their own.
pub(crate) async fn answer(ai: &Ai, asked: Asked, wants_usage: bool) -> Result<Response, Problem> {
    let (sender, client) = mpsc::channel(WAITING);
    let (begun, begins) = oneshot::channel();
    let owner = ai.clone();
    let call = async move {
        let (caller, receipt) = (asked.payload.dialect, asked.receipt.clone());
        match begin(&owner, asked, &begun).await {
            Ok((lease, Begun { response, dialect, at_most, server })) => {
                let headers = Told::beginning(&lease.hold, server, owner.clock.now()).headers();
                let recorded = owner.streams.open(&lease.hold, caller, headers.clone());
                // Whoever waited for the beginning may have gone; the pump notices.
                let _ = begun.send(Ok(headers));
                let arriving = response.into_body().into_data_stream();
                let blocks = dialect.stream(events::blocks(arriving), caller);
                let pump = Pump::new(sender, recorded.clone(), wants_usage);
                pump.run(&owner, lease, at_most, blocks, receipt).await;
                owner.streams.close(&recorded).await;
            }
            Err(problem) => {
                let _ = begun.send(Err(problem));
            }
        }
    };
    ai.spawn(call.in_current_span());
    let headers = begins.await.unwrap_or_else(|error| Err(Problem::internal(error)))?;
    let body = Body::from_stream(ReceiverStream::new(client).map(Ok::<_, Infallible>));
    let kind = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")];
    Ok((kind, headers, body).into_response())
}

async fn begin(
    ai: &Ai,
    asked: Asked,
    client: &oneshot::Sender<Result<HeaderMap, Problem>>,
) -> Result<(Lease, Begun), Problem> {
    let mut lease = Lease::new(ai, ai.admit(&asked).await?);
    if client.is_closed() {
        ai.release(&lease.hold).await;
        return Err(Problem::internal(anyhow::anyhow!("the client has gone")));
    }
    let begun = timeout_at(lease.deadline(), ai.begin(&asked, &mut lease.hold)).await;
    match begun.unwrap_or_else(|_| Err(ProviderError::outlived())) {
        Ok(begun) => Ok((lease, begun)),
        Err(error) => {
            ai.book_failure(&lease.hold, &error).await;
            Err(error.into())
        }
    }
}
