use std::{
    panic::Location,
    time::{Duration, Instant},
};

/// How long a test waits for what must happen: so long that only what never happens fails, also on a machine that
/// is slow and busy with other tests.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// How long a test waits for an instance to notice what changed elsewhere. It should take a second; what is
/// remembered without being told of changes is remembered for half a minute, and a busy machine is in between.
const NOTICED: Duration = Duration::from_secs(20);

/// Asks until it is so, for what nobody announces.
#[track_caller]
pub fn eventually(what: &str, so: impl AsyncFn() -> bool) -> impl Future<Output = ()> {
    ask(what, PATIENCE, so, Location::caller())
}

/// Asks until an instance has noticed what changed elsewhere, which it must within a second or so.
#[track_caller]
pub fn is_noticed(what: &str, so: impl AsyncFn() -> bool) -> impl Future<Output = ()> {
    ask(what, NOTICED, so, Location::caller())
}

async fn ask(what: &str, limit: Duration, so: impl AsyncFn() -> bool, caller: &Location<'_>) {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < limit, "{caller}: in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What `happens` brings.
#[track_caller]
pub fn in_time<T>(what: &str, happens: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        let happened = tokio::time::timeout(PATIENCE, happens).await;
        happened.unwrap_or_else(|_| panic!("{caller}: in vain: {what}"))
    }
}
