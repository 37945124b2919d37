use std::io;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use super::command::LARGEST_MAIL;

/// RFC 4954 lets the AUTH command be this long, and every other limit is lower.
const LONGEST_COMMAND: usize = 12_288;
const LONGEST_TEXT_LINE: usize = 1000;

/// A connection that speaks in lines.
pub(super) struct Wire {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

/// A line without its end, or what is wrong with it.
pub(super) enum Line {
    Text(Vec<u8>),
    TooLong,
    /// It ended in LF alone, which servers disagree about and smugglers rely on.
    BareLf,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader: BufReader::new(reader), writer }
    }

    pub(super) async fn reply(&mut self, reply: &str) -> io::Result<()> {
        self.writer.write_all(format!("{reply}\r\n").as_bytes()).await
    }

    /// The next command, or nothing at the end of the connection.
    pub(super) async fn command(&mut self) -> io::Result<Option<Line>> {
        self.line(LONGEST_COMMAND).await
    }

    /// The mail up to the lone dot, or the reply that refuses it; nothing if the client leaves before.
    pub(super) async fn mail(&mut self) -> io::Result<Option<Result<Vec<u8>, &'static str>>> {
        let mut mail = Vec::new();
        let mut refusal = None;
        let mut clean = true;
        while let Some(line) = self.line(LONGEST_TEXT_LINE).await? {
            match line {
                Line::Text(text) if text == b"." && clean => {
                    return Ok(Some(refusal.map_or(Ok(mail), Err)));
                }
                Line::Text(text) => {
                    mail.extend_from_slice(text.strip_prefix(b".").unwrap_or(&text));
                    mail.extend_from_slice(b"\r\n");
                    clean = true;
                }
                Line::TooLong => {
                    refusal = Some("500 5.6.0 A line is longer than 1000 octets");
                    clean = true;
                }
                Line::BareLf => {
                    refusal = Some("550 5.6.0 A line ends in LF without CR");
                    clean = false;
                }
            }
            if mail.len() > LARGEST_MAIL {
                refusal = Some("552 5.3.4 The message is too large");
                mail.clear();
            }
        }
        Ok(None)
    }

    async fn line(&mut self, longest: usize) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        let mut too_long = false;
        loop {
            let allowed = (longest - line.len()) as u64;
            let read = (&mut self.reader).take(allowed).read_until(b'\n', &mut line).await?;
            if read == 0 {
                return Ok(None);
            }
            if line.ends_with(b"\n") {
                break;
            }
            if line.len() == longest {
                too_long = true;
                line.clear();
            }
        }
        if too_long {
            return Ok(Some(Line::TooLong));
        }
        Ok(Some(match line.strip_suffix(b"\r\n") {
            Some(text) => Line::Text(text.to_vec()),
            None => Line::BareLf,
        }))
    }
}
