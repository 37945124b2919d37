use axum::http::{HeaderValue, Request};
use tower_http::request_id;
use uuid::Uuid;

/// The name of one request in answers, logs and support tickets.
#[derive(Clone, Debug)]
pub struct RequestId(String);

impl RequestId {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes over the id that `tower_http` decided on.
    pub fn of<B>(request: &Request<B>) -> Option<Self> {
        let id = request.extensions().get::<request_id::RequestId>()?;
        Some(Self(id.header_value().to_str().ok()?.to_owned()))
    }
}

/// Names requests by time-ordered UUIDs.
#[derive(Clone, Copy, Debug, Default)]
pub struct MakeRequestId;

impl request_id::MakeRequestId for MakeRequestId {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<request_id::RequestId> {
        let id = Uuid::now_v7().simple().to_string();
        HeaderValue::try_from(id).ok().map(request_id::RequestId::new)
    }
}
