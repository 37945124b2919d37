use serde::{Serialize, de::DeserializeOwned};

/// A unit of background work.
///
/// A job carries ids, reads the newest state when it runs, and may run twice (a machine can die
/// between its effect and the note that it is done), so running one again must be harmless.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Names the job in the queue; changing it strands jobs already queued.
    const NAME: &'static str;

    /// How often a failing job is tried before it is left in the table as a dead letter.
    ///
    /// The pauses grow from 3 seconds to 2 or 3 hours; ten attempts take about four and a half hours.
    const MAX_ATTEMPTS: i16 = 10;

    /// Whether it may take minutes. Such jobs have slots of their own, so that quick ones, such as mails,
    /// never wait for them.
    const SLOW: bool = false;

    /// What the job needs to run, usually the service of its crate.
    type Context: Clone + Send + Sync + 'static;

    /// Does the work. An error, or a panic, means "try again later".
    fn run(self, context: Self::Context) -> impl Future<Output = anyhow::Result<()>> + Send;
}
