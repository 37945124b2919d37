use std::time::Duration;

use quotas::Hold;
use tokio::time::Instant;

use crate::Ai;

/// How long to leave Postgres alone when a reservation could not be renewed.
const PAUSE: Duration = Duration::from_secs(5);

/// The reservation of a stream: renewed while the answer goes on, up to the longest that one may take.
pub(crate) struct Lease {
    pub(crate) hold: Hold,
    /// The stream must be over before the reservation is.
    ends: Instant,
    renews: Instant,
    last: Instant,
}

impl Lease {
    pub(crate) fn new(ai: &Ai, hold: Hold) -> Self {
        let now = Instant::now();
        let ends = now + ai.time_limit();
        Self { hold, ends, renews: now + ai.time_limit() / 2, last: now + ai.longest }
    }

    /// When the stream is broken off.
    pub(crate) fn deadline(&self) -> Instant {
        self.ends.min(self.last)
    }

    /// Renews it if half of it is over. `false`: somebody has ended it.
    pub(crate) async fn keep(&mut self, ai: &Ai) -> bool {
        let now = Instant::now();
        if now < self.renews {
            return true;
        }
        match ai.quotas.renew(&mut self.hold).await {
            Ok(true) => {
                self.ends = now + ai.time_limit();
                self.renews = now + ai.time_limit() / 2;
                true
            }
            Ok(false) => false,
            Err(error) => {
                tracing::warn!(%error, "the reservation of a stream could not be renewed");
                self.renews = now + PAUSE;
                true
            }
        }
    }
}
