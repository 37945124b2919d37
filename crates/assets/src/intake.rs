use bytes::BytesMut;
use sha2::{Digest, Sha256};

use crate::{Error, Result, Upload, content_type};

/// By so much of a file its type is known.
const HEAD: usize = 8192;

/// Looks at a file as it comes by, and refuses what was not announced.
pub(crate) struct Intake<'a> {
    upload: &'a Upload,
    head: BytesMut,
    sum: Sha256,
    bytes: i64,
}

/// What came by.
pub(crate) struct Written {
    pub(crate) bytes: i64,
    pub(crate) sha256: Vec<u8>,
    /// Width and height of a picture.
    pub(crate) size: Option<(i32, i32)>,
}

impl<'a> Intake<'a> {
    pub(crate) fn new(upload: &'a Upload) -> Self {
        Self { upload, head: BytesMut::new(), sum: Sha256::new(), bytes: 0 }
    }

    pub(crate) fn look_at(&mut self, chunk: &[u8]) -> Result<()> {
        self.bytes += i64::try_from(chunk.len()).unwrap_or(i64::MAX);
        self.sum.update(chunk);
        if self.head.len() < HEAD {
            self.head.extend_from_slice(&chunk[..chunk.len().min(HEAD - self.head.len())]);
            if self.head.len() == HEAD {
                self.check_head()?;
            }
        }
        Ok(())
    }

    pub(crate) fn end(self) -> Result<Written> {
        if self.head.len() < HEAD {
            self.check_head()?;
        }
        let sha256 = self.sum.finalize().to_vec();
        if self.bytes != self.upload.bytes {
            return Err(Error::Content("it is not as long as was announced"));
        }
        if self.upload.sha256.as_ref().is_some_and(|announced| *announced != sha256) {
            return Err(Error::Content("it does not have the SHA-256 that was announced"));
        }
        Ok(Written { bytes: self.bytes, sha256, size: None })
    }

    fn check_head(&self) -> Result<()> {
        let mismatch = content_type::mismatch(&self.upload.content_type, &self.head);
        mismatch.map_or(Ok(()), |why| Err(Error::Content(why)))
    }
}
