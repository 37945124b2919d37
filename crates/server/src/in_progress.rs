use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tokio::{sync::watch, time::sleep};

/// The requests of one connection that are not answered to the end.
#[derive(Clone, Default)]
pub(crate) struct InProgress(watch::Sender<Count>);

#[derive(Clone, Copy, Default)]
struct Count {
    begun: bool,
    open: usize,
}

/// One of them. Dropping it ends it.
pub(crate) struct Guard(watch::Sender<Count>);

impl InProgress {
    pub(crate) fn begin(&self) -> Guard {
        self.0.send_modify(|count| {
            count.begun = true;
            count.open += 1;
        });
        Guard(self.0.clone())
    }

    /// Waits for the first request.
    pub(crate) async fn begun(&self) {
        self.when(|count| count.begun).await;
    }

    /// Waits until there was none for `time`.
    pub(crate) async fn over_for(&self, time: Duration) {
        loop {
            self.when(|count| count.open == 0).await;
            tokio::select! {
                () = sleep(time) => return,
                () = self.when(|count| count.open > 0) => {}
            }
        }
    }

    async fn when(&self, is_so: impl Fn(&Count) -> bool) {
        // It cannot fail: this is one of the senders.
        self.0.subscribe().wait_for(is_so).await.ok();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.send_modify(|count| count.open -= 1);
    }
}

impl Guard {
    /// Keeps the request in progress until `body` was sent or given up.
    pub(crate) fn until_end_of(self, body: Body) -> Body {
        Body::new(Answer { body, _request: self })
    }
}

/// The body of an answer, telling as much of itself as it does on its own.
struct Answer {
    body: Body,
    _request: Guard,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
