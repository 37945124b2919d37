use axum::body::HttpBody;
use axum::{body::Body, response::Response};
use http_body_util::BodyExt;

use crate::{in_flight::Call, shared::SharedCall, standing::Standing};

/// A request that may be served.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    /// Where its caller stands under the tightest limit, if any applies.
    pub(crate) standing: Option<Standing>,
    /// Dropping them ends the call here and in Redis.
    pub(crate) call: (Option<Call>, Option<SharedCall>),
}

impl Admission {
    /// Of a request that a limit would refuse, were it enforced.
    pub(crate) fn observed(standing: Standing) -> Self {
        Self { standing: Some(standing), ..Self::default() }
    }

    /// Tells the caller where they stand, and lets the call go on until the answer has ended: sent
    /// to its end, left by its client, or dropped.
    pub(crate) fn attach(self, mut response: Response) -> Response {
        for (name, value) in self.standing.iter().flat_map(Standing::headers) {
            // A narrower limit, met behind this one, is the one to be told about.
            response.headers_mut().entry(name).or_insert(value);
        }
        let call = self.call;
        let is_stream = response.body().size_hint().exact().is_none();
        if call.0.is_none() || !is_stream {
            return response;
        }
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _in_flight = &call;
                frame
            }))
        })
    }
}
