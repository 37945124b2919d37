use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use chrono::TimeDelta;
use http::{HeaderValue, Method, StatusCode, header::CONTENT_TYPE};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use super::lane::Lane;
use crate::{answer, keys::Key, provider::Provider, refusal::Failure, upstream::Response};

/// No description of a file or a batch is longer, nor a page of them.
const LARGEST: usize = 4 * 1024 * 1024;
/// No answer in a file is longer.
const LONGEST_LINE: usize = 64 * 1024 * 1024;
/// How long a file may stop in the middle.
const SILENCE: Duration = Duration::from_mins(1);
/// How far a provider's clock may be behind ours.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::hours(1);
/// Names our batch in the provider's metadata, so that it is found again.
const NAME: &str = "slipway_batch";

/// An account at a provider that has batches.
pub(super) struct Account<'a> {
    provider: &'a Provider,
    key: &'a Key,
}

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// It does not want that, and will not later. Nothing was done.
    #[error("the provider refuses it: {0}")]
    Refused(String),
    /// It could not serve us. Nothing was done.
    #[error("the provider is unavailable: {0}")]
    Later(String),
    /// It may have done it or not.
    #[error("the provider's answer was lost: {0}")]
    Lost(String),
}

/// A batch as its provider shows it.
#[derive(Debug, Deserialize)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) output_file_id: Option<String>,
    pub(super) error_file_id: Option<String>,
    metadata: Option<Value>,
    created_at: Option<i64>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Seen>,
    #[serde(default)]
    has_more: bool,
}

impl<'a> Account<'a> {
    /// The one of `tag`, or any.
    pub(super) fn of(provider: &'a Provider, tag: Option<&str>) -> Result<Self, Trouble> {
        let key = match tag {
            Some(tag) => provider.keys.tagged(tag),
            None => provider.keys.take(),
        };
        let key = key.map_err(|_| Trouble::Later("all its keys rest".to_owned()))?;
        Ok(Self { provider, key })
    }

    pub(super) fn tag(&self) -> String {
        self.key.tag()
    }

    /// Uploads the calls of a batch; answers what the file is called.
    pub(super) async fn upload(&self, content: &str) -> Result<String, Trouble> {
        // Random, so that no prompt can contain it.
        let boundary = Uuid::new_v4().simple().to_string();
        let form = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"batch.jsonl\"\r\n\
             Content-Type: application/jsonl\r\n\r\n{content}\r\n--{boundary}--\r\n"
        );
        let kind = format!("multipart/form-data; boundary={boundary}");
        let file: Named = self.exchange(Method::POST, "/files", &kind, form.into()).await?;
        Ok(file.id)
    }

    /// Has a batch made of the file that was uploaded.
    pub(super) async fn create(&self, lane: &Lane) -> Result<Seen, Trouble> {
        let batch = json!({
            "input_file_id": lane.input_file,
            "endpoint": lane.endpoint(),
            "completion_window": "24h",
            "metadata": { NAME: lane.id.to_string() },
        });
        self.exchange(Method::POST, "/batches", JSON, batch.to_string().into()).await
    }

    /// The batch that was made for `lane`, if any was. They are listed from the newest on.
    pub(super) async fn find(&self, lane: &Lane) -> Result<Option<Seen>, Trouble> {
        let (name, mut after) = (lane.id.to_string(), String::new());
        let earliest = (lane.created_at - CLOCKS_DIFFER).timestamp();
        loop {
            let path = format!("/batches?limit=100{after}");
            let page: Page = self.exchange(Method::GET, &path, JSON, Bytes::new()).await?;
            let last = page.data.last();
            let last = last.filter(|it| it.created_at.is_none_or(|made| made >= earliest));
            let next = last.map(|seen| format!("&after={}", seen.id));
            let ours = |it: &Seen| it.metadata.as_ref().is_some_and(|it| it[NAME] == *name);
            if let Some(seen) = page.data.into_iter().find(ours) {
                return Ok(Some(seen));
            }
            match next.filter(|next| page.has_more && *next != after) {
                Some(next) => after = next,
                None => return Ok(None),
            }
        }
    }

    pub(super) async fn look(&self, batch: &str) -> Result<Seen, Trouble> {
        self.exchange(Method::GET, &format!("/batches/{batch}"), JSON, Bytes::new()).await
    }

    /// Stops it. What was made by then is in its files, and billed.
    pub(super) async fn cancel(&self, batch: &str) -> Result<Seen, Trouble> {
        let path = format!("/batches/{batch}/cancel");
        self.exchange(Method::POST, &path, JSON, Bytes::new()).await
    }

    /// What is in a file, line by line.
    pub(super) async fn read(&self, file: &str) -> Result<Lines, Trouble> {
        let path = format!("/files/{file}/content");
        let response = self.send(Method::GET, &path, JSON, Bytes::new()).await?;
        Ok(Lines { body: response.into_body(), buffer: BytesMut::new(), searched: 0 })
    }

    /// Prompts and answers are not left where nobody needs them.
    pub(super) async fn delete(&self, file: &str) -> Result<(), Trouble> {
        self.send(Method::DELETE, &format!("/files/{file}"), JSON, Bytes::new()).await.map(drop)
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Bytes,
    ) -> Result<T, Trouble> {
        let response = self.send(method, path, kind, body).await?;
        let body = answer::read(response, LARGEST, SILENCE).await.map_err(Trouble::Lost)?;
        serde_json::from_slice(&body).map_err(|_| Trouble::Lost("it is no answer".to_owned()))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Bytes,
    ) -> Result<Response, Trouble> {
        let changes = method == Method::POST;
        let request = self.provider.request(method, path, self.key, body);
        let mut request = request.map_err(|error| Trouble::Refused(error.reason))?;
        let kind = HeaderValue::from_str(kind).map_err(|it| Trouble::Refused(it.to_string()))?;
        request.headers_mut().insert(CONTENT_TYPE, kind);
        let first_byte = self.provider.first_byte.min(ANSWERED_WITHIN);
        let answered = timeout(first_byte, self.provider.upstream.send(request)).await;
        let response = match answered {
            Err(_) => return Err(Trouble::Lost(format!("silent for {first_byte:?}"))),
            Ok(Err(error)) if error.unsent => return Err(Trouble::Later(error.reason)),
            Ok(Err(error)) => return Err(Trouble::Lost(error.reason)),
            Ok(Ok(response)) => response,
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let reason = Failure::read(response).await.error.to_string();
        Err(match status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => Trouble::Lost(reason),
            _ if REFUSALS.contains(&status) => Trouble::Refused(reason),
            // It may have failed after it was done.
            _ if changes && status.is_server_error() => Trouble::Lost(reason),
            _ => Trouble::Later(reason),
        })
    }
}

const JSON: &str = "application/json";

/// Whoever comes later takes a silence that is longer than this for an end.
const ANSWERED_WITHIN: Duration = Duration::from_mins(4);

/// That it has no such thing, or does not let us, or does not like what it got.
const REFUSALS: [StatusCode; 8] = [
    StatusCode::BAD_REQUEST,
    StatusCode::FORBIDDEN,
    StatusCode::NOT_FOUND,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::UNPROCESSABLE_ENTITY,
    StatusCode::NOT_IMPLEMENTED,
];

/// A file that arrives.
pub(super) struct Lines {
    body: Incoming,
    buffer: BytesMut,
    /// So much of the buffer has no end of a line.
    searched: usize,
}

impl Lines {
    /// The next line; `None`: there is none.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Trouble> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.searched..]) {
                let line = self.buffer.split_to(self.searched + at).freeze();
                self.buffer.advance(1);
                self.searched = 0;
                return Ok(Some(line));
            }
            self.searched = self.buffer.len();
            if self.searched > LONGEST_LINE {
                return Err(Trouble::Later(format!("a line is longer than {LONGEST_LINE} bytes")));
            }
            let frame = timeout(SILENCE, self.body.frame()).await;
            let frame = frame.map_err(|_| Trouble::Later(format!("silent for {SILENCE:?}")))?;
            match frame.transpose().map_err(|error| Trouble::Later(error.to_string()))? {
                Some(frame) => frame.into_data().into_iter().for_each(|it| self.buffer.extend(it)),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    self.searched = 0;
                    return Ok(Some(self.buffer.split().freeze()));
                }
            }
        }
    }
}
