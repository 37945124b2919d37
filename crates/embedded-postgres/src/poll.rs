use std::time::{Duration, Instant};

use crate::{Error, Result};

const INTERVAL: Duration = Duration::from_millis(2);

/// Asks until there is an answer: other processes announce nothing.
pub(crate) async fn poll<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if begun.elapsed() > limit {
            return Err(Error::TimedOut { what: what.to_owned(), limit });
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
