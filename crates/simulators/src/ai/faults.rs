use serde::{Deserialize, Serialize};

use super::{ReceivedCall, Usage};

/// One way for a provider to misbehave; one call meets at most one.
///
/// An answer in one piece has no chunks: a fault between chunks strikes it as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// An error of this status, with `Retry-After` in seconds if wanted.
    Status {
        /// The status, such as 429, 500 or 503.
        status: u16,
        /// The value of the `Retry-After` header.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// The connection closes before the first byte of an answer.
    Reset,
    /// No answer until the next release.
    Hang,
    /// The stream stalls after this many chunks, until the next release.
    HangAfter {
        /// How many chunks arrive before.
        chunks: usize,
    },
    /// The connection closes after this many chunks, at the latest before `[DONE]`.
    CutAfter {
        /// How many chunks arrive before.
        chunks: usize,
    },
    /// An event that is no JSON comes after this many chunks; the stream then goes on.
    MalformedAfter {
        /// How many chunks arrive before.
        chunks: usize,
    },
    /// The stream ends in an error event after this many chunks.
    ErrorAfter {
        /// How many chunks arrive before.
        chunks: usize,
    },
    /// The stream says nothing but that it lives, this often, after this many chunks; then it goes on.
    HeartbeatsAfter {
        /// How many chunks arrive before.
        chunks: usize,
        /// How many heartbeats.
        beats: usize,
        /// The delay before each.
        millis_per_beat: u64,
    },
    /// A line without end comes after this many chunks.
    EndlessAfter {
        /// How many chunks arrive before.
        chunks: usize,
    },
    /// The stream ends without `[DONE]`.
    NoDone,
    /// The account has no money left: 400, `billing_hard_limit_reached`.
    UsedUp,
    /// Every chunk takes this long.
    Slow {
        /// The delay before each chunk.
        millis_per_chunk: u64,
    },
    /// The answer says nothing about usage, asked or not.
    NoUsage,
    /// A stream that was asked for its usage tells it twice.
    UsageTwice,
    /// The answer claims this usage.
    Usage(Usage),
}

/// Whose calls a lasting fault strikes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    /// Those made with this key.
    Key(String),
    /// Those that ask for this model.
    Model(String),
}

impl Whom {
    pub(super) fn made(&self, call: &ReceivedCall) -> bool {
        match self {
            Self::Key(key) => call.key.as_ref() == Some(key),
            Self::Model(model) => call.body["model"] == **model,
        }
    }
}
