use std::convert::Infallible;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};

use crate::events::{data, first_end};

/// The events of a stream that come after the first `seen`, each with its number as its id. Signs
/// of life, which come at any time, are not counted.
pub(super) fn after(
    seen: u64,
    blocks: impl Stream<Item = Bytes> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let mut number = 0;
    blocks.map(move |block| Ok(numbered(&block, &mut number, seen)))
}

fn numbered(block: &[u8], number: &mut u64, seen: u64) -> Bytes {
    let (mut rest, mut told) = (block, BytesMut::with_capacity(block.len() + 16));
    while !rest.is_empty() {
        let (event, more) = rest.split_at(first_end(rest));
        rest = more;
        if data(event).is_none() || event.starts_with(b"event: ping\n") {
            continue;
        }
        *number += 1;
        if *number > seen {
            told.extend_from_slice(format!("id: {number}\n").as_bytes());
            told.extend_from_slice(event);
        }
    }
    told.freeze()
}

/// A body of whole events as blocks.
pub(super) fn blocks(body: Body) -> impl Stream<Item = Bytes> + Send {
    crate::events::blocks(body.into_data_stream())
        .take_while(|block| std::future::ready(block.is_ok()))
        .filter_map(async |block| block.ok())
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn events_are_numbered_and_those_that_were_seen_left_out() {
        let block = b"data: a\n\n: ping\n\nevent: ping\ndata: {}\n\nevent: x\ndata: b\n\n";
        let mut number = 0;
        assert_eq!(
            numbered(block, &mut number, 0),
            "id: 1\ndata: a\n\nid: 2\nevent: x\ndata: b\n\n"
        );
        assert_eq!(numbered(b"data: c\n\n", &mut number, 3), "");
        assert_eq!(numbered(b"data: d\n\n", &mut number, 3), "id: 4\ndata: d\n\n");
    }
}
