use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use futures::{
    FutureExt, Stream, StreamExt,
    stream::{self, BoxStream, Fuse},
};
use memchr::{memchr, memmem};
use tokio::task::yield_now;

/// The longest event that is accepted. Whoever sends a longer one does not fill our memory.
const LARGEST: usize = 1024 * 1024;

/// How much that has arrived is passed on at once.
const ENOUGH: usize = 16 * 1024;

/// A stream of server-sent events in blocks of whole ones.
pub(crate) type Blocks = BoxStream<'static, Result<Bytes, &'static str>>;

/// Cuts what arrives between events. What arrives whole, as nearly all does, is not copied.
pub(crate) fn blocks<S, E>(upstream: S) -> Blocks
where
    S: Stream<Item = Result<Bytes, E>> + Send + Unpin + 'static,
    E: Send,
{
    let blocks = Cutter { upstream: upstream.fuse(), begun: BytesMut::new(), broken: false };
    stream::unfold(blocks, async |mut blocks| Some((blocks.next().await?, blocks))).boxed()
}

struct Cutter<S> {
    upstream: Fuse<S>,
    /// An event whose end has not arrived.
    begun: BytesMut,
    /// Whether the stream broke after what was passed on last.
    broken: bool,
}

impl<S, E> Cutter<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    async fn next(&mut self) -> Option<Result<Bytes, &'static str>> {
        loop {
            if self.broken {
                return Some(Err("the provider's stream broke"));
            }
            let block = match self.upstream.next().await {
                Some(Ok(bytes)) => {
                    let bytes = self.with_what_follows(bytes).await;
                    self.cut(bytes)
                }
                Some(Err(_)) => return Some(Err("the provider's stream broke")),
                None if self.begun.is_empty() => return None,
                // Some servers leave out the last blank line.
                None => {
                    self.begun.extend_from_slice(b"\n\n");
                    self.begun.split().freeze()
                }
            };
            if !block.is_empty() {
                return Some(Ok(block));
            }
            if self.begun.len() > LARGEST {
                return Some(Err("the provider sent an event that is too long"));
            }
        }
    }

    /// `first` and what has arrived with it. Passing something on costs more than the bytes in it, so
    /// a stream that is behind is passed on in large pieces; one that is not is not held up.
    async fn with_what_follows(&mut self, first: Bytes) -> Bytes {
        let mut all = BytesMut::new();
        while all.len() < ENOUGH {
            // Whoever reads the connection gets a turn.
            yield_now().await;
            match self.upstream.next().now_or_never() {
                Some(Some(Ok(bytes))) => {
                    if all.is_empty() {
                        all.reserve(ENOUGH);
                        all.extend_from_slice(&first);
                    }
                    all.extend_from_slice(&bytes);
                }
                Some(Some(Err(_))) => {
                    self.broken = true;
                    break;
                }
                Some(None) | None => break,
            }
        }
        if all.is_empty() { first } else { all.freeze() }
    }

    fn cut(&mut self, bytes: Bytes) -> Bytes {
        if self.begun.is_empty() {
            let end = last_end(&bytes).unwrap_or(0);
            self.begun.extend_from_slice(&bytes[end..]);
            return bytes.slice(..end);
        }
        // The blank line may have begun before.
        let seen = self.begun.len().saturating_sub(2);
        self.begun.extend_from_slice(&bytes);
        let end = last_end(&self.begun[seen..]).map_or(0, |end| seen + end);
        self.begun.split_to(end).freeze()
    }
}

/// Where the last whole event ends.
fn last_end(bytes: &[u8]) -> Option<usize> {
    let unix = memmem::rfind(bytes, b"\n\n").map(|at| at + 2);
    let windows = memmem::rfind(bytes, b"\n\r\n").map(|at| at + 3);
    unix.max(windows)
}

/// Where the first event of a block ends.
pub(crate) fn first_end(block: &[u8]) -> usize {
    let mut at = 0;
    while let Some(line) = memchr(b'\n', &block[at..]) {
        at += line + 1;
        match &block[at..] {
            [b'\n', ..] => return at + 1,
            [b'\r', b'\n', ..] => return at + 2,
            _ => {}
        }
    }
    block.len()
}

/// The data of an event; `None` if it has none, as comments do.
pub(crate) fn data(event: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut found: Option<Cow<'_, [u8]>> = None;
    for line in event.split(|byte| *byte == b'\n') {
        let Some(value) = line.strip_prefix(b"data:") else { continue };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let value = value.strip_suffix(b"\r").unwrap_or(value);
        match &mut found {
            None => found = Some(value.into()),
            Some(begun) => {
                let begun = begun.to_mut();
                begun.push(b'\n');
                begun.extend_from_slice(value);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use futures::{StreamExt, executor::block_on, stream};

    use super::{LARGEST, blocks, data, first_end};

    fn read(chunks: &[&[u8]]) -> Vec<Result<Vec<u8>, &'static str>> {
        let chunks: Vec<_> =
            chunks.iter().map(|it| Ok::<_, Infallible>(Bytes::copy_from_slice(it))).collect();
        let blocks = blocks(stream::iter(chunks)).map(|block| block.map(|it| it.to_vec()));
        block_on(blocks.take(100).collect())
    }

    /// The data of all events in `chunks`.
    fn events(chunks: &[&[u8]]) -> Vec<String> {
        let text: Vec<u8> = read(chunks).into_iter().flat_map(Result::unwrap).collect();
        let mut rest = &text[..];
        let mut all = Vec::new();
        while !rest.is_empty() {
            let (event, more) = rest.split_at(first_end(rest));
            all.extend(data(event).map(|it| String::from_utf8(it.into_owned()).unwrap()));
            rest = more;
        }
        all
    }

    #[test]
    fn events_are_the_same_wherever_the_stream_is_cut() {
        let text = b"data: {\"a\":1}\n\n: ping\n\nevent: x\r\ndata:{}\r\n\r\ndata: a\ndata: b\n\n";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let chunks = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(events(&chunks), ["{\"a\":1}", "{}", "a\nb"], "{first} {second}");
            }
        }
    }

    #[test]
    fn a_stream_may_leave_out_its_last_blank_line() {
        assert_eq!(events(&[b"data: 1\n\ndata: [DONE]"]), ["1", "[DONE]"]);
    }

    #[test]
    fn an_event_without_end_is_given_up_before_it_fills_the_memory() {
        let chunk = vec![b'a'; 64 * 1024];
        let endless = vec![&chunk[..]; 100];
        assert_eq!(read(&endless)[0], Err("the provider sent an event that is too long"));
        assert!(endless.concat().len() > LARGEST);
    }
}
