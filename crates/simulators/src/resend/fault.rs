use serde::{Deserialize, Serialize};

/// One way for the API to misbehave; one request meets at most one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Too many requests (429), with `Retry-After` in seconds; the mail is not taken.
    Busy {
        /// The value of the header; none if absent.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// An error of this status; the mail is not taken.
    Status {
        /// The status, such as 401, 422, 500 or 503.
        status: u16,
    },
    /// The connection closes; the mail is not taken.
    Reset,
    /// The mail is taken, and then the connection closes.
    DropAnswer,
    /// The mail is taken, and the answer is no JSON.
    Garbage,
    /// The mail is taken, and the answer never ends.
    Endless,
    /// The mail is taken, and no answer comes until the next release.
    Hang,
}
