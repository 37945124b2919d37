use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use db::Db;
use kernel::{Clock, Id, Org};
use tokio_util::sync::CancellationToken;
use web::{ClientIp, Problem};

use crate::{
    Config, Quota, Switch,
    admission::Admission,
    charge::Charge,
    in_flight::InFlight,
    instances::Instance,
    policy,
    share::{BEAT, Share},
    shared::Shared,
    standing::Standing,
    subject::Subject,
    tally::Tally,
};

/// The limits on traffic: counted in Redis, and in memory where there is none or it fails.
#[derive(Clone)]
pub struct RateLimit {
    counts: Arc<Counts>,
}

struct Counts {
    is_on: bool,
    only_observes: bool,
    clock: Clock,
    shared: Option<Shared>,
    tally: Tally,
    in_flight: InFlight,
    instance: Instance,
    /// `None`: not known yet. Nobody else is heard of, so nobody else is assumed.
    share: RwLock<Option<Share>>,
}

impl RateLimit {
    /// Nobody has used anything yet. Nothing is connected to before it is needed.
    pub fn new(config: &Config, db: Db, clock: Clock) -> anyhow::Result<Self> {
        let shared = |redis| Shared::new(redis, config.redis_timeout());
        let shared = config.redis().transpose()?.map(shared).transpose()?;
        let counts = Counts {
            is_on: config.is_on(),
            only_observes: config.rate_limits == Switch::Observe,
            clock,
            shared,
            tally: Tally::default(),
            in_flight: InFlight::default(),
            instance: Instance::new(db),
            share: RwLock::default(),
        };
        Ok(Self { counts: Arc::new(counts) })
    }

    /// Shows the other instances that this one is alive, and finds out how many they are.
    pub async fn beat(&self) -> sqlx::Result<()> {
        let others = self.counts.instance.renew().await?;
        let now = self.now();
        let mut share = self.counts.share.write().unwrap_or_else(PoisonError::into_inner);
        *share = Some(match *share {
            None => Share::joining(others, now),
            Some(share) => share.among(others, now),
        });
        Ok(())
    }

    /// Beats until `stop`, and then leaves its share to the others.
    pub async fn keep_beating(self, stop: CancellationToken) {
        let mut beats = tokio::time::interval(BEAT);
        while stop.run_until_cancelled(beats.tick()).await.is_some() {
            if let Err(error) = self.beat().await {
                tracing::warn!(%error, "the other instances do not hear of this one");
            }
        }
        if let Err(error) = self.counts.instance.leave().await {
            tracing::warn!(%error, "the other instances will wait for the end of our lease");
        }
    }

    /// Counts a look into the database for a token that was not seen to hold before, so that
    /// guessing does not become its load.
    pub async fn check_unknown_token(&self, ip: Option<ClientIp>) -> Result<(), Problem> {
        let charge = Charge {
            policy: policy::UNKNOWN_TOKENS,
            quota: policy::UNKNOWN_TOKENS_PER_NETWORK,
            subject: Subject::network(ip),
        };
        self.admit(&[charge], None).await.map(drop).map_err(|standing| standing.refusal())
    }

    /// Counts one request, and the call that it begins, if `calls` says whose and how many there
    /// may be in flight.
    pub(crate) async fn admit(
        &self,
        charges: &[Charge],
        calls: Option<(Id<Org>, u32)>,
    ) -> Result<Admission, Standing> {
        let counts = &*self.counts;
        if !counts.is_on || charges.is_empty() {
            return Ok(Admission::default());
        }
        let (share, now) = (self.share(), self.now());
        if let Some(shared) = &counts.shared
            && let Some(decision) = shared.admit(charges, calls, now).await
        {
            let (standing, shared_call) = decision?;
            // Counted here too, so that the share goes on from there if Redis is lost.
            counts.tally.note(charges, share, now);
            let call = calls.and_then(|(org, _)| counts.in_flight.begin(org, u32::MAX));
            return Ok(Admission { standing, call: (call, shared_call) });
        }
        let call = calls
            .map(|(org, limit)| {
                let quota = Quota::at_once(limit);
                let call = counts.in_flight.begin(org, (limit / share.instances).max(1));
                call.ok_or(Standing::refused(policy::CALLS_AT_ONCE, quota, Duration::ZERO))
            })
            .transpose()?;
        let standing = counts.tally.check(charges, share, now)?;
        Ok(Admission { standing, call: (call, None) })
    }

    /// Whether traffic is counted, but nobody refused for it.
    pub(crate) fn only_observes(&self) -> bool {
        self.counts.only_observes
    }

    /// Whether there is a shared count.
    pub(crate) fn is_shared(&self) -> bool {
        self.counts.shared.is_some()
    }

    /// Whether the shared count works; without one there is nothing to fail.
    pub(crate) async fn check_shared(&self) -> anyhow::Result<()> {
        match &self.counts.shared {
            Some(shared) => shared.check().await,
            None => Ok(()),
        }
    }

    fn share(&self) -> Share {
        let share = *self.counts.share.read().unwrap_or_else(PoisonError::into_inner);
        share.unwrap_or(Share::ALONE)
    }

    fn now(&self) -> Duration {
        self.counts.clock.elapsed()
    }
}
