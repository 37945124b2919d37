use std::{
    cmp::Ordering,
    sync::{
        LazyLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Context;
use kernel::{Id, Org};
use redis::{
    Client, RedisResult, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::{sync::oneshot, time::timeout};
use uuid::Uuid;

use crate::{Quota, charge::Charge, policy, standing::Standing};

/// How long a Redis that let one request wait is left alone.
const PAUSE: Duration = Duration::from_secs(1);
/// A call in flight whose instance did not say for so long that it still is, has ended.
const LEASE: Duration = Duration::from_mins(1);

static ADMIT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("admit.lua")));
static EXTEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("extend.lua")));

/// The count of all instances together, in Redis.
pub(crate) struct Shared {
    redis: ConnectionManager,
    /// No request waits longer than this for Redis.
    patience: Duration,
    is_lost: AtomicBool,
    /// When it may be asked again, in milliseconds of the caller's clock.
    pause_until: AtomicU64,
}

/// A call in flight, counted in Redis. Dropping it ends the call.
#[derive(Debug)]
pub(crate) struct SharedCall {
    /// Closed by being dropped.
    _ended: oneshot::Sender<()>,
}

/// What Redis decided: where the caller stands, and the call that may begin.
type Decision = Result<(Option<Standing>, Option<SharedCall>), Standing>;

impl Shared {
    pub(crate) fn new(client: Client, patience: Duration) -> RedisResult<Self> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(patience))
            .set_connection_timeout(Some(patience.max(PAUSE)))
            .set_number_of_retries(1)
            .set_pipeline_buffer_size(1024);
        Ok(Self {
            redis: ConnectionManager::new_lazy_with_config(client, config)?,
            patience,
            is_lost: AtomicBool::new(false),
            pause_until: AtomicU64::new(0),
        })
    }

    /// Counts one request, and the call that it begins, if `calls` says whose and how many there
    /// may be. `None`: Redis cannot say, and somebody else must.
    pub(crate) async fn admit(
        &self,
        charges: &[Charge],
        calls: Option<(Id<Org>, u32)>,
        now: Duration,
    ) -> Option<Decision> {
        if !self.may_be_asked(now) {
            return None;
        }
        let name = Uuid::now_v7();
        match timeout(self.patience, self.ask(charges, calls, name)).await {
            Ok(Ok(answer)) => {
                self.is_well();
                decision(&answer, charges, calls, || self.hold(calls.map(|(org, _)| org), name))
            }
            Ok(Err(error)) => {
                // An answer, though not the one wanted, came in time: the next may be asked.
                let answered = !error.is_io_error() && !error.is_unrecoverable_error();
                self.is_ill(&error, now, if answered { Duration::ZERO } else { PAUSE });
                None
            }
            Err(error) => {
                self.is_ill(&error, now, PAUSE);
                None
            }
        }
    }

    /// Whether Redis answers, for the health check.
    pub(crate) async fn check(&self) -> anyhow::Result<()> {
        let mut redis = self.redis.clone();
        let ping = redis::cmd("PING");
        let answer = timeout(PAUSE, ping.query_async::<String>(&mut redis)).await;
        answer.context("Redis does not answer")?.context("Redis does not answer")?;
        anyhow::ensure!(!self.is_lost.load(Relaxed), "Redis answers, but cannot count requests");
        Ok(())
    }

    async fn ask(
        &self,
        charges: &[Charge],
        calls: Option<(Id<Org>, u32)>,
        name: Uuid,
    ) -> RedisResult<Vec<i64>> {
        let mut script = ADMIT.prepare_invoke();
        script.arg(charges.len());
        for Charge { policy, quota, subject } in charges {
            script.key(format!("rate-limit:{subject}:{policy}"));
            script.arg(micros(quota.interval())).arg(micros(quota.per));
        }
        if let Some((org, limit)) = calls {
            script.key(calls_key(org));
            script.arg(limit).arg(name.to_string()).arg(micros(LEASE));
        }
        script.invoke_async(&mut self.redis.clone()).await
    }

    /// After a pause one request finds out for all others whether it is over.
    fn may_be_asked(&self, now: Duration) -> bool {
        let until = self.pause_until.load(Relaxed);
        match millis(now).cmp(&until) {
            Ordering::Less => false,
            _ if until == 0 => true,
            _ => {
                let next = millis(now + PAUSE);
                self.pause_until.compare_exchange(until, next, Relaxed, Relaxed).is_ok()
            }
        }
    }

    fn is_well(&self) {
        self.pause_until.store(0, Relaxed);
        if self.is_lost.swap(false, Relaxed) {
            tracing::info!("Redis counts requests again");
        }
    }

    fn is_ill(&self, error: &dyn std::error::Error, now: Duration, pause: Duration) {
        metrics::counter!("rate_limit_fallbacks_total").increment(1);
        if !pause.is_zero() {
            self.pause_until.store(millis(now + pause), Relaxed);
        }
        if !self.is_lost.swap(true, Relaxed) {
            tracing::warn!(%error, "Redis cannot count requests; this instance enforces its share");
        }
    }

    /// Keeps the call `name` counted until what is returned is dropped.
    fn hold(&self, org: Option<Id<Org>>, name: Uuid) -> Option<SharedCall> {
        let key = calls_key(org?);
        let (ended, mut until) = oneshot::channel::<()>();
        let mut redis = self.redis.clone();
        tokio::spawn(async move {
            let name = name.to_string();
            while timeout(LEASE / 3, &mut until).await.is_err() {
                let mut extend = EXTEND.key(&key);
                extend.arg(&name).arg(micros(LEASE));
                extend.invoke_async::<()>(&mut redis).await.ok();
            }
            // If this is lost, the lease ends it.
            redis::cmd("ZREM").arg(&key).arg(&name).exec_async(&mut redis).await.ok();
        });
        Some(SharedCall { _ended: ended })
    }
}

fn calls_key(org: Id<Org>) -> String {
    format!("rate-limit:{{{org}}}:{}", policy::CALLS_AT_ONCE)
}

/// `None`: an answer that our script does not give.
fn decision(
    answer: &[i64],
    charges: &[Charge],
    calls: Option<(Id<Org>, u32)>,
    hold: impl FnOnce() -> Option<SharedCall>,
) -> Option<Decision> {
    let (&refused, rest) = answer.split_first()?;
    if refused == 0 {
        let standing = |(charge, left): (&Charge, &i64)| Standing {
            policy: charge.policy,
            quota: charge.quota,
            remaining: u32::try_from(*left).unwrap_or_default(),
            window: charge.quota.interval(),
        };
        let tightest = charges.iter().zip(rest).map(standing);
        let tightest = tightest.fold(None, |tightest, it| Some(it.or_tighter(tightest)));
        return Some(Ok((tightest, hold())));
    }
    let wait = Duration::from_micros(u64::try_from(*rest.first()?).ok()?);
    let charge = charges.get(usize::try_from(refused).ok()?.checked_sub(1)?);
    Some(Err(match (charge, calls) {
        (Some(charge), _) => Standing::refused(charge.policy, charge.quota, wait),
        (None, Some((_, limit))) => {
            Standing::refused(policy::CALLS_AT_ONCE, Quota::at_once(limit), wait)
        }
        (None, None) => return None,
    }))
}

fn micros(time: Duration) -> u64 {
    time.as_micros().try_into().unwrap_or(u64::MAX)
}

fn millis(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}
