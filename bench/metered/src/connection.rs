//! One keep-alive connection of the load generator: as little of HTTP/1.1 as the answers need, so
//! that the generator leaves the processor to those it measures.

use std::time::Instant;

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// More than any answer of a run has; whoever sends more is stopped.
const LONGEST: usize = 4 * 1024 * 1024;
const READ: usize = 32 * 1024;
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(authority: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(authority).await.context("connect")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(READ) })
    }

    /// Sends `request` and reads the whole answer; says when its body began. Anything but a
    /// complete 200 is an error: a load test that counts refusals measures nothing.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Instant> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let body = loop {
            self.read().await?;
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
        };
        let length = content_length(&self.buffer[..body]);
        if self.buffer.len() == body && length != Some(0) {
            self.read().await?;
        }
        let began = Instant::now();
        match length {
            Some(length) => {
                while self.buffer.len() < body + length {
                    self.read().await?;
                }
            }
            None => {
                while !self.buffer.ends_with(LAST_CHUNK) {
                    self.read().await?;
                }
            }
        }
        let served = self.buffer.starts_with(b"HTTP/1.1 200 ");
        ensure!(served, "the answer was {}", String::from_utf8_lossy(&self.buffer));
        if length.is_none() {
            let tail = &self.buffer[self.buffer.len().saturating_sub(64)..];
            ensure!(find(tail, b"[DONE]").is_some(), "the stream ended early");
        }
        Ok(began)
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        self.buffer.reserve(READ);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => bail!("closed after {}", String::from_utf8_lossy(&self.buffer)),
            _ if self.buffer.len() > LONGEST => bail!("the answer does not end"),
            _ => Ok(()),
        }
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|it| it == what)
}

/// `None`: the body is chunked.
fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
}
