//! Parts of uploads: what came of them is asked of the storage, which is the only one to know.

use std::{pin::pin, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use kernel::{Id, Org};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::{Asset, Assets, Error, Result, Upload};

/// How long nothing may come of a part.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a part may take in all.
const LONGEST: Duration = Duration::from_mins(15);

/// A part that has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = UploadPart)]
pub(crate) struct Part {
    /// Its number, from 1.
    pub(crate) number: u32,
    /// How long it is.
    pub(crate) bytes: u64,
}

impl Assets {
    /// Keeps part `number`, which replaces what came of it before, in bounded memory.
    pub(crate) async fn receive(
        &self,
        (org, upload): (Id<Org>, &Upload),
        number: u32,
        announced: Option<u64>,
        body: Body,
    ) -> Result<Part> {
        upload.check_open(self.clock.now())?;
        let expected = upload.length_of(number)?;
        if let Some(announced) = announced.filter(|it| *it != expected) {
            return Err(Error::PartLength { expected, more: announced > expected });
        }
        let _transfer = self.transfers.try_acquire().map_err(|_| Error::Busy)?;
        let key = Upload::key(org, upload.id).part(number);
        let mut writer =
            self.storage.labelled_writer(&key, &Asset::labels("part", "application/octet-stream"));
        let copied = timeout(LONGEST, copy(body.into_data_stream(), &mut writer, expected)).await;
        match copied.unwrap_or(Err(Error::Stalled)) {
            Ok(()) => writer.finish().await?,
            Err(error) => {
                // Whether or not that works, nobody sees what came.
                writer.abandon().await.ok();
                return Err(error);
            }
        }
        Ok(Part { number, bytes: expected })
    }

    /// The parts that have come, in their order.
    pub(crate) async fn parts(&self, org: Id<Org>, upload: &Upload) -> Result<Vec<Part>> {
        let listed = self.storage.list(&Upload::key(org, upload.id));
        let mut parts: Vec<_> = listed
            .try_filter_map(async |it| {
                let number = it.key.number();
                Ok(number.map(|number| Part { number, bytes: it.bytes }))
            })
            .try_collect()
            .await?;
        // Others were put there by somebody with a link, and count for nothing.
        parts.retain(|part| upload.length_of(part.number).ok() == Some(part.bytes));
        parts.sort_by_key(|part| part.number);
        Ok(parts)
    }
}

async fn copy(
    body: impl Stream<Item = Result<Bytes, axum::Error>>,
    writer: &mut storage::Writer,
    expected: u64,
) -> Result<()> {
    let (mut body, mut left) = (pin!(body), expected);
    while let Some(chunk) = timeout(PATIENCE, body.next()).await.map_err(|_| Error::Stalled)? {
        let chunk = chunk.map_err(|_| Error::Cut)?;
        let more = || Error::PartLength { expected, more: true };
        left = left.checked_sub(chunk.len() as u64).ok_or_else(more)?;
        writer.write(chunk).await?;
    }
    if left == 0 { Ok(()) } else { Err(Error::PartLength { expected, more: false }) }
}
