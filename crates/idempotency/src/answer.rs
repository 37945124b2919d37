use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use serde::{Deserialize, Serialize};

use crate::recording::{is_stream, unseen};

/// What of an answer belongs to it; the rest, such as limits and request ids, is of the moment.
const KEPT: [HeaderName; 3] = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];

/// So do the headers that tell who served a call and what it cost.
const OURS: &str = "x-slipway-";

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An answer that can be given again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Those of its headers that belong to it.
    pub(crate) headers: HeaderMap,
    /// Its body, to the byte.
    pub(crate) body: Bytes,
}

/// What precedes the body in the stored form: one line of JSON.
#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

impl Answer {
    /// The part of an answer that is kept.
    pub(crate) fn new(status: StatusCode, all: &HeaderMap, body: Bytes) -> Self {
        let kept =
            all.iter().filter(|(name, _)| KEPT.contains(name) || name.as_str().starts_with(OURS));
        let headers = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        Self { status, headers, body }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let headers = self.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
        let head = Head { status: self.status.as_u16(), headers: headers.collect() };
        let mut encoded = serde_json::to_vec(&head).unwrap_or_default();
        encoded.push(b'\n');
        encoded.extend_from_slice(&self.body);
        encoded
    }

    pub(crate) fn decode(encoded: &[u8]) -> anyhow::Result<Self> {
        let end = encoded.iter().position(|&byte| byte == b'\n');
        let (head, body) = encoded.split_at(end.unwrap_or(encoded.len()));
        let Head { status, headers } = serde_json::from_slice(head)?;
        let headers = headers.iter().map(|(name, value)| Ok((name.parse()?, value.parse()?)));
        Ok(Self {
            status: StatusCode::from_u16(status)?,
            headers: headers.collect::<anyhow::Result<_>>()?,
            body: Bytes::copy_from_slice(body.get(1..).unwrap_or_default()),
        })
    }

    /// The answer, given again; of a stream, what `request` says has not been seen.
    pub(crate) fn replay(mut self, request: &HeaderMap) -> Response {
        if is_stream(&self.headers) {
            self.body = unseen(&self.body, request);
        }
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        replayed(response)
    }
}

/// The answer, marked as one that was given before.
pub(crate) fn replayed(mut response: Response) -> Response {
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

    use super::Answer;

    #[test]
    fn an_answer_survives_being_stored_to_the_byte_without_what_is_of_the_moment() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ETAG, HeaderValue::from_static("\"1\""));
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        let body = b"\n{\"a\":\n1}\xff\n";
        let answer = Answer::new(StatusCode::CREATED, &headers, body.as_slice().into());

        let read = Answer::decode(&answer.encode()).unwrap();

        assert_eq!((read.status.as_u16(), &read.body[..]), (201, &body[..]));
        assert_eq!((read.headers.len(), &read.headers[header::ETAG]), (1, &headers[header::ETAG]));
        assert!(Answer::decode(b"").is_err());
    }
}
