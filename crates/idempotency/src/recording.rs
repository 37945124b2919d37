use std::convert::Infallible;

use axum::{
    body::{Body, BodyDataStream, Bytes},
    http::{HeaderMap, header},
    response::Response,
};
use futures::{StreamExt, stream};
use tokio::sync::watch;

use crate::answer::{Answer, replayed};

/// No stream is recorded beyond that: it ends there, for the client too.
const LARGEST: usize = 16 * 1024 * 1024;

/// A stream of server-sent events that is being told: whoever joins hears it from where they like.
/// Every event gets an id, its number.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    head: Answer,
    tape: watch::Sender<Tape>,
}

#[derive(Debug, Default)]
struct Tape {
    events: Vec<Bytes>,
    ended: bool,
}

impl Recording {
    /// Nothing has been told; `head` is an answer without its body.
    pub(crate) fn new(head: Answer) -> Self {
        Self { head, tape: watch::Sender::new(Tape::default()) }
    }

    /// Listens to the end of `body`. The whole answer, unless it broke off or is too long.
    pub(crate) async fn record(&self, body: Body) -> Option<Answer> {
        let whole = self.listen(body.into_data_stream()).await;
        self.tape.send_modify(|tape| tape.ended = true);
        let body = self.tape.borrow().events.concat().into();
        whole.then(|| Answer { body, ..self.head.clone() })
    }

    async fn listen(&self, mut body: BodyDataStream) -> bool {
        let (mut begun, mut size) = (Vec::new(), 0);
        while let Some(chunk) = body.next().await {
            let Ok(chunk) = chunk else { return false };
            size += chunk.len();
            if size > LARGEST {
                return false;
            }
            begun.extend_from_slice(&chunk);
            let events = cut(&mut begun);
            if !events.is_empty() {
                self.tape.send_modify(|tape| tape.push(events));
            }
        }
        begun.is_empty()
    }

    /// The stream for one client, after the event that it has seen last.
    pub(crate) fn tell(&self, after: usize) -> Body {
        let listening = (self.tape.subscribe(), after);
        Body::from_stream(stream::unfold(listening, async |(mut tape, at)| {
            loop {
                let (heard, len, ended) = tape.borrow_and_update().since(at);
                if !heard.is_empty() {
                    return Some((Ok::<_, Infallible>(heard), (tape, len)));
                }
                if ended || tape.changed().await.is_err() {
                    return None;
                }
            }
        }))
    }

    /// The answer for a client who joins.
    pub(crate) fn join(&self, request: &HeaderMap) -> Response {
        let mut response = Response::new(self.tell(last_event_id(request)));
        *response.status_mut() = self.head.status;
        *response.headers_mut() = self.head.headers.clone();
        replayed(response)
    }
}

impl Tape {
    fn push(&mut self, events: Vec<Vec<u8>>) {
        for event in events {
            let id = format!("id: {}\n", self.events.len() + 1);
            self.events.push([id.into_bytes(), event].concat().into());
        }
    }

    fn since(&self, at: usize) -> (Bytes, usize, bool) {
        let new = self.events.get(at..).unwrap_or_default();
        let heard = match new {
            [one] => one.clone(),
            several => several.concat().into(),
        };
        (heard, self.events.len(), self.ended)
    }
}

/// Takes the whole events out of what has arrived.
fn cut(begun: &mut Vec<u8>) -> Vec<Vec<u8>> {
    let mut events = Vec::new();
    while let Some(end) = begun.windows(2).position(|it| it == b"\n\n") {
        let rest = begun.split_off(end + 2);
        events.push(std::mem::replace(begun, rest));
    }
    events
}

/// The part of a recorded stream that a client has not seen.
pub(crate) fn unseen(body: &Bytes, request: &HeaderMap) -> Bytes {
    let after = last_event_id(request);
    if after == 0 {
        return body.clone();
    }
    let next = format!("\n\nid: {}\n", after + 1);
    let at = body.windows(next.len()).position(|it| it == next.as_bytes());
    at.map_or_else(Bytes::new, |at| body.slice(at + 2..))
}

fn last_event_id(request: &HeaderMap) -> usize {
    let id = request.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    id.unwrap_or(0)
}

/// Whether `headers` are those of a stream of events.
pub(crate) fn is_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, Bytes, to_bytes},
        http::{HeaderMap, HeaderValue, StatusCode},
    };
    use futures::stream;

    use super::{Recording, unseen};
    use crate::answer::Answer;

    fn recording() -> Recording {
        Recording::new(Answer::new(StatusCode::OK, &HeaderMap::new(), Bytes::new()))
    }

    fn arriving(chunks: &[&'static str]) -> Body {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|it| Ok::<_, std::io::Error>(Bytes::from_static(it.as_bytes())))
            .collect();
        Body::from_stream(stream::iter(chunks))
    }

    #[tokio::test]
    async fn whoever_joins_hears_the_same_events_with_the_same_ids() {
        let recording = recording();
        let first = recording.tell(0);

        let kept = recording.record(arriving(&["data: a\n", "\ndata: b\n\ndata", ": c\n\n"])).await;

        let whole = "id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: c\n\n";
        assert_eq!(to_bytes(first, 1000).await.unwrap(), whole);
        assert_eq!(to_bytes(recording.tell(1), 1000).await.unwrap(), whole[15..]);
        assert_eq!(to_bytes(recording.tell(9), 1000).await.unwrap(), "");
        assert_eq!(kept.unwrap().body, whole);
    }

    #[tokio::test]
    async fn a_stream_that_breaks_off_is_not_kept() {
        assert!(recording().record(arriving(&["data: a\n\ndata"])).await.is_none());
    }

    #[test]
    fn a_stored_stream_continues_after_the_event_that_was_seen_last() {
        let body = Bytes::from_static(b"id: 1\ndata: a\n\nid: 2\ndata: b\n\n");
        for (seen, rest) in [("0", &body[..]), ("1", &body[15..]), ("2", b""), ("x", &body[..])] {
            let mut headers = HeaderMap::new();
            headers.insert("last-event-id", HeaderValue::from_static(seen));
            assert_eq!(unseen(&body, &headers), rest, "{seen}");
        }
    }
}
