//! Data too large for memory, encrypted in segments (the STREAM construction, as age and others have it).
//!
//! Each stream has a key of its own, derived from the secret, a random salt and the context. Each segment
//! has its number and whether it is the last one in its nonce. So none can be changed, left out, repeated,
//! moved, cut off or appended without that being seen, and only what is authentic is ever given out.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand,
};

use crate::{Sealer, hmac};

const MAGIC: &[u8; 8] = b"slipway1";
const NAME: usize = 8;
const SALT: usize = 32;
const HEADER: usize = MAGIC.len() + NAME + SALT;
/// Bytes of plain text in every segment but the last.
const SEGMENT: usize = 64 * 1024;
const SEALED_SEGMENT: usize = SEGMENT + 16;

/// Why a stream could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// It does not begin as sealed streams do.
    #[error("it was not sealed by this program, or its beginning is missing")]
    Unknown,
    /// None of the secrets has the name that it carries.
    #[error("it was sealed with another key")]
    OtherKey,
    /// It is not what was sealed, or not all of it.
    #[error("it is damaged or cut off: segment {0} is not authentic")]
    Damaged(u64),
}

/// Encrypts what is pushed.
pub struct SealStream {
    segments: Segments,
    out: Vec<u8>,
    pending: Vec<u8>,
}

/// Decrypts what is pushed.
pub struct OpenStream {
    sealer: Sealer,
    context: Vec<u8>,
    segments: Option<Segments>,
    pending: Vec<u8>,
}

impl Sealer {
    /// Begins to encrypt with the newest secret; opens in the same `context` only, such as the id of a file.
    pub fn seal_stream(&self, context: &[u8]) -> anyhow::Result<SealStream> {
        let mut header = [MAGIC.as_slice(), &key_name(&self.0[0]), &[0; SALT]].concat();
        rand::fill(&mut header[HEADER - SALT..])?;
        let segments = Segments::new(&self.0[0], &header, context);
        Ok(SealStream { segments, out: header, pending: Vec::new() })
    }

    /// Begins to decrypt what was sealed in `context`, with the current or an earlier secret.
    pub fn open_stream(&self, context: &[u8]) -> OpenStream {
        let (sealer, context) = (self.clone(), context.to_vec());
        OpenStream { sealer, context, segments: None, pending: Vec::new() }
    }
}

impl SealStream {
    /// Takes the next bytes; answers what is sealed by now.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.pending.extend_from_slice(bytes);
        // The last segment is known only when nothing follows, so one is always kept back.
        let full = self.pending.len().saturating_sub(1) / SEGMENT;
        let rest = self.pending.split_off(full * SEGMENT);
        for segment in self.pending.chunks(SEGMENT) {
            self.segments.seal(segment, false, &mut self.out);
        }
        self.pending = rest;
        std::mem::take(&mut self.out)
    }

    /// The end of it. What was pushed does not open without.
    pub fn finish(mut self) -> Vec<u8> {
        self.segments.seal(&self.pending, true, &mut self.out);
        self.out
    }
}

impl OpenStream {
    /// Takes the next sealed bytes; answers what they say as far as that is proved.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, StreamError> {
        self.pending.extend_from_slice(bytes);
        if self.segments.is_none() {
            if self.pending.len() < HEADER {
                return Ok(Vec::new());
            }
            let rest = self.pending.split_off(HEADER);
            self.segments = Some(self.begin()?);
            self.pending = rest;
        }
        let segments = self.segments.as_mut().ok_or(StreamError::Unknown)?;
        let full = self.pending.len().saturating_sub(1) / SEALED_SEGMENT;
        let rest = self.pending.split_off(full * SEALED_SEGMENT);
        let mut opened = Vec::with_capacity(full * SEGMENT);
        for segment in self.pending.chunks_mut(SEALED_SEGMENT) {
            opened.extend_from_slice(segments.open(segment, false)?);
        }
        self.pending = rest;
        Ok(opened)
    }

    /// The end. Fails if something is missing.
    pub fn finish(mut self) -> Result<Vec<u8>, StreamError> {
        let mut segments = self.segments.take().ok_or(StreamError::Unknown)?;
        Ok(segments.open(&mut self.pending, true)?.to_vec())
    }

    fn begin(&self) -> Result<Segments, StreamError> {
        let name = self.pending.strip_prefix(MAGIC).ok_or(StreamError::Unknown)?;
        let mut keys = self.sealer.0.iter();
        let key = keys.find(|key| name.starts_with(&key_name(key)));
        let key = key.ok_or(StreamError::OtherKey)?;
        Ok(Segments::new(key, &self.pending, &self.context))
    }
}

/// The segments of one stream, in order.
struct Segments {
    key: LessSafeKey,
    next: u64,
}

impl Segments {
    fn new(key: &[u8; 32], header: &[u8], context: &[u8]) -> Self {
        let key = hmac(key, &[b"stream", header, context]);
        let key = UnboundKey::new(&AES_256_GCM, &key).expect("the key has its length");
        Self { key: LessSafeKey::new(key), next: 0 }
    }

    /// Never twice under one key: the key is the stream's own.
    fn nonce(&mut self, last: bool) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[3..11].copy_from_slice(&self.next.to_be_bytes());
        nonce[11] = last.into();
        self.next += 1;
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&mut self, text: &[u8], last: bool, out: &mut Vec<u8>) {
        let (nonce, start) = (self.nonce(last), out.len());
        out.extend_from_slice(text);
        let sealed = self.key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut out[start..]);
        out.extend_from_slice(sealed.expect("a segment is not too long").as_ref());
    }

    fn open<'a>(&mut self, sealed: &'a mut [u8], last: bool) -> Result<&'a [u8], StreamError> {
        let (number, nonce) = (self.next, self.nonce(last));
        let opened = self.key.open_in_place(nonce, Aad::empty(), sealed);
        opened.map(|text| &*text).map_err(|_| StreamError::Damaged(number))
    }
}

/// What a stream says of its key: enough to tell which it is, nothing about it.
fn key_name(key: &[u8; 32]) -> [u8; NAME] {
    let mut name = [0; NAME];
    name.copy_from_slice(&hmac(key, &[b"name"])[..NAME]);
    name
}

#[cfg(test)]
mod tests;
