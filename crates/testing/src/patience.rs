use std::{
    panic::Location,
    time::{Duration, Instant},
};

/// How long a test waits for what must happen: so long that only what never happens fails, also on a machine that
/// is slow and busy with other tests.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// How long what changed elsewhere may go unnoticed.
const NOTICED: Duration = Duration::from_secs(1);
/// How much of that one ask counts at most: while a busy machine pauses, nobody can notice anything.
const ASK: Duration = Duration::from_millis(20);

/// Asks until it is so, for what nobody announces.
#[track_caller]
pub fn eventually(what: &str, so: impl AsyncFn() -> bool) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        let began = Instant::now();
        while !so().await {
            assert!(began.elapsed() < PATIENCE, "{caller}: in vain: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Asks until an instance has noticed what changed elsewhere, which it must within a second.
#[track_caller]
pub fn is_noticed(what: &str, so: impl AsyncFn() -> bool) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        let mut waited = Duration::ZERO;
        loop {
            let began = Instant::now();
            if so().await {
                return;
            }
            assert!(waited < NOTICED, "{caller}: takes more than a second: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
            waited += began.elapsed().min(ASK);
        }
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
