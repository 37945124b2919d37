//! The load generator: closed loop (as fast as the answers come) and open loop (at a fixed rate,
//! whether they come or not).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::{
    connection::Connection,
    machine::Cpu,
    schedule::{Pace, Schedule},
};

/// What is sent where, and how.
pub(crate) struct Load {
    pub(crate) authority: String,
    /// Sent in turn.
    pub(crate) requests: Arc<Vec<Vec<u8>>>,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    /// How long is measured; a warm-up comes before.
    pub(crate) time: Duration,
}

/// What was seen in the time measured.
pub(crate) struct Sample {
    time: Duration,
    /// Every call that was answered, before and after that time too.
    pub(crate) answered: i64,
    /// Microseconds until the answer was complete.
    pub(crate) latency: Histogram<u64>,
    /// Microseconds until its body began.
    pub(crate) first_byte: Histogram<u64>,
    /// Processor time of the parts that were watched.
    pub(crate) cpu: Vec<Duration>,
}

impl Sample {
    /// How many calls were measured.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub(crate) fn calls(&self) -> f64 {
        self.latency.len() as f64
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.calls() / self.time.as_secs_f64()
    }
}

impl Load {
    /// Puts the load on, and reads the clocks of `watched` around the time measured.
    pub(crate) async fn run(&self, watched: &[Cpu]) -> anyhow::Result<Sample> {
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            connections.push(Connection::open(&self.authority).await?);
        }
        let schedule = Schedule::begin(self.pace, self.time);
        let mut workers = JoinSet::new();
        for (number, connection) in connections.into_iter().enumerate() {
            let requests = (number, self.connections, self.requests.clone());
            workers.spawn(work(connection, schedule.clone(), requests));
        }
        let cpu_at = async |time: Instant| {
            tokio::time::sleep_until(time.into()).await;
            watched.iter().map(Cpu::used).collect::<anyhow::Result<Vec<Duration>>>()
        };
        let before = cpu_at(schedule.from).await?;
        let after = cpu_at(schedule.until).await?;
        let (mut answered, mut latency, mut first_byte) = (0, histogram(), histogram());
        while let Some(worker) = workers.join_next().await {
            let (calls, whole, first) = worker.context("a connection's task")??;
            answered += calls;
            latency.add(whole)?;
            first_byte.add(first)?;
        }
        ensure!(!latency.is_empty(), "nothing was answered");
        let used = |(before, after): (_, Duration)| after.saturating_sub(before);
        let cpu = before.into_iter().zip(after).map(used).collect();
        Ok(Sample { time: self.time, answered, latency, first_byte, cpu })
    }
}

/// One connection's share: every `step`-th of `requests` from `number` on, round and round.
async fn work(
    mut connection: Connection,
    schedule: Schedule,
    (mut number, step, requests): (usize, usize, Arc<Vec<Vec<u8>>>),
) -> anyhow::Result<(i64, Histogram<u64>, Histogram<u64>)> {
    let (mut answered, mut latency, mut first_byte) = (0, histogram(), histogram());
    while let Some(due) = schedule.next().await {
        let began = connection.exchange(&requests[number % requests.len()]).await?;
        let done = Instant::now();
        number += step;
        answered += 1;
        if schedule.counts(due, done) {
            latency.saturating_record(micros(done - due));
            first_byte.saturating_record(micros(began - due));
        }
    }
    Ok((answered, latency, first_byte))
}

fn micros(time: Duration) -> u64 {
    time.as_micros().try_into().unwrap_or(u64::MAX)
}

/// From a microsecond to a minute, to a tenth of a percent.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are valid")
}
