use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::Deserialize;
use tokio::time::timeout;

use crate::{error::ProviderError, upstream::Response, usage_report::UsageReport};

/// No whole answer is longer; ten images may have half of it.
const LARGEST: usize = 64 * 1024 * 1024;

/// A whole answer that a provider gave, in `OpenAI`'s shape.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: Bytes,
    pub(crate) usage: Option<UsageReport>,
}

/// What is read of it.
#[derive(Deserialize)]
struct Read {
    usage: Option<UsageReport>,
    error: Option<serde::de::IgnoredAny>,
}

impl Answer {
    /// What `response` brings. Anything but an answer is a lost one: the provider may bill it.
    pub(crate) async fn read(
        response: Response,
        silence: Duration,
        translate: impl FnOnce(Bytes) -> Result<Bytes, ProviderError>,
    ) -> Result<Self, ProviderError> {
        let body = read(response, LARGEST, silence).await;
        let body = translate(body.map_err(|reason| ProviderError::Lost { reason })?)?;
        match serde_json::from_slice(&body) {
            Ok(Read { error: None, usage }) => Ok(Self { body, usage }),
            _ => Err(ProviderError::Lost { reason: "it is no answer".to_owned() }),
        }
    }
}

/// The whole body, unless it is larger than `most` or stops for as long as `silence`.
pub(crate) async fn read(
    response: Response,
    most: usize,
    silence: Duration,
) -> Result<Bytes, String> {
    let (mut incoming, mut body) = (response.into_body(), BytesMut::new());
    loop {
        let frame = timeout(silence, incoming.frame()).await;
        let frame = frame.map_err(|_| format!("it was silent for {silence:?}"))?;
        let Some(frame) = frame.transpose().map_err(|error| error.to_string())? else { break };
        let Ok(chunk) = frame.into_data() else { continue };
        if body.len() + chunk.len() > most {
            return Err(format!("it is longer than {most} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
