use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions, write::StreamWriter};

use crate::Writer;

/// Bytes that wait in memory before they go on to the storage.
const PIECE: usize = 256 * 1024;

/// A zip archive on its way to the storage: nothing but the last piece is in memory.
pub struct Archive {
    /// In a box, as it is large and goes from hand to hand.
    zip: Box<ZipWriter<StreamWriter<Piece>>>,
    piece: Piece,
    out: Writer,
    bytes: u64,
}

/// What the archive has written since the last piece.
#[derive(Clone, Default)]
struct Piece(Arc<Mutex<Vec<u8>>>);

impl Write for Piece {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Piece {
    /// All of it, if it has `least` bytes.
    fn take(&self, least: usize) -> Bytes {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes.len() < least { Bytes::new() } else { mem::take(&mut *bytes).into() }
    }
}

impl Archive {
    /// An empty one, which `out` writes.
    pub fn new(out: Writer) -> Self {
        let piece = Piece::default();
        let zip = Box::new(ZipWriter::new_stream(piece.clone()));
        Self { zip, piece, out, bytes: 0 }
    }

    /// Begins the file `name`.
    pub fn begin(&mut self, name: &str) -> anyhow::Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .large_file(true);
        Ok(self.zip.start_file(name, options)?)
    }

    /// Adds `bytes` to the file that was begun last.
    pub async fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        for part in bytes.chunks(PIECE) {
            self.zip.write_all(part)?;
            self.hand_on(PIECE).await?;
        }
        Ok(())
    }

    /// Ends the archive, and shows it; answers its size.
    pub async fn finish(self) -> anyhow::Result<u64> {
        let Self { zip, piece, mut out, bytes } = self;
        zip.finish()?;
        let rest = piece.take(0);
        let size = bytes + rest.len() as u64;
        out.write(rest).await?;
        out.finish().await?;
        Ok(size)
    }

    /// Gives it up.
    pub async fn abandon(self) {
        // What a store keeps of unfinished objects nobody sees, and its own rules remove.
        if let Err(error) = self.out.abandon().await {
            tracing::warn!(%error, "an unfinished archive was not removed");
        }
    }

    async fn hand_on(&mut self, least: usize) -> anyhow::Result<()> {
        let piece = self.piece.take(least);
        if !piece.is_empty() {
            self.bytes += piece.len() as u64;
            self.out.write(piece).await?;
        }
        Ok(())
    }
}
