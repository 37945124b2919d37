use std::io;

use axum::{body::Body, response::Response};
use serde::{Deserialize, Serialize};

/// Trouble for the next calls to a part of the API.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// Calls whose path starts like this are meant; an empty path means all.
    #[serde(default)]
    pub path: String,
    /// How many calls are still to be hit.
    pub times: u32,
    /// What happens to them.
    #[serde(flatten)]
    pub trouble: Trouble,
}

/// What can go wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "trouble", rename_all = "snake_case")]
pub enum Trouble {
    /// It is refused with an error in Stripe's shape; nothing was done.
    Status {
        /// The HTTP status, like 402, 409, 429 or 500.
        status: u16,
    },
    /// The connection closes without an answer; nothing was done.
    Reset,
    /// It starts to run only after a while; nothing is done if the caller gives up before.
    Hang {
        /// How long.
        milliseconds: u64,
    },
    /// The answer is not JSON; nothing was done.
    Garbage,
    /// The work is done, and then the connection closes without an answer.
    DropAnswer,
    /// The work is done, but its answer comes only when all trouble ends.
    HoldAnswer,
}

/// Uses up one hit of the first fault that is meant for `path`.
pub(super) fn take(faults: &mut Vec<Fault>, path: &str) -> Option<Trouble> {
    faults.retain(|fault| fault.times > 0);
    let fault = faults.iter_mut().find(|fault| path.starts_with(&fault.path))?;
    fault.times -= 1;
    Some(fault.trouble)
}

/// A response that closes the connection before a byte of it is sent.
pub(super) fn reset() -> Response {
    let failure = io::Error::from(io::ErrorKind::ConnectionReset);
    let body = futures::stream::once(async { Err::<String, _>(failure) });
    Response::new(Body::from_stream(body))
}

pub(super) fn garbage() -> Response {
    Response::new(Body::from("<html>upstream connect error"))
}
