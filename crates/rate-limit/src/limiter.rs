use std::{
    fmt,
    num::NonZeroU32,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use governor::{
    RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};

use crate::{Quota, standing::Standing, subject::Subject};

type States<C> = RateLimiter<Subject, DashMapStateStore<Subject>, C, StateInformationMiddleware>;

/// Requests between two looks for subjects that can be forgotten, at least.
const SWEEP_EVERY: usize = 4096;

/// Counts the requests of every subject under one policy.
pub(crate) struct Limiter<C: Clock = DefaultClock> {
    policy: &'static str,
    quota: Quota,
    states: States<C>,
    until_sweep: AtomicUsize,
}

impl<C: Clock> Limiter<C> {
    pub(crate) fn new(policy: &'static str, quota: Quota, clock: C) -> Self {
        let burst = NonZeroU32::new(quota.count).unwrap_or(NonZeroU32::MIN);
        let states = governor::Quota::with_period(quota.interval())
            .map(|it| RateLimiter::new(it.allow_burst(burst), DashMapStateStore::default(), clock))
            .expect("a quota has a period");
        Self { policy, quota, states, until_sweep: SWEEP_EVERY.into() }
    }

    /// Counts one request. `Err`: it is one too many, and was not counted.
    pub(crate) fn check(&self, subject: Subject) -> Result<Standing, Standing> {
        self.sweep_sometimes();
        let standing = |remaining, window| Standing {
            policy: self.policy,
            quota: self.quota,
            remaining,
            window,
        };
        match self.states.check_key(&subject) {
            // The library does not tell when exactly the next one is given back: no later than this.
            Ok(state) => Ok(standing(state.remaining_burst_capacity(), self.quota.interval())),
            Err(until) => Err(standing(0, until.wait_time_from(self.states.clock().now()))),
        }
    }

    /// Forgets subjects whose quota is whole again, once per so many requests that it costs each
    /// of them next to nothing. So memory is bounded by twice the subjects of one period.
    fn sweep_sometimes(&self) {
        if self.until_sweep.fetch_sub(1, Relaxed) == 1 {
            self.states.retain_recent();
            self.states.shrink_to_fit();
            self.until_sweep.store(self.states.len().max(SWEEP_EVERY), Relaxed);
        }
    }
}

impl<C: Clock> fmt::Debug for Limiter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.policy, self.quota)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use governor::clock::FakeRelativeClock;
    use proptest::prelude::{ProptestConfig, prop, proptest};

    use super::{Limiter, SWEEP_EVERY};
    use crate::{POLICIES, Quota, policy::TIERS, subject::Subject};

    fn network(number: u32) -> Subject {
        Subject::Network(Ipv4Addr::from(number).into())
    }

    #[test]
    fn of_one_request_too_many_exactly_the_last_is_refused() {
        for (policy, tier) in POLICIES.iter().flat_map(|policy| TIERS.map(|tier| (policy, tier))) {
            let quota = policy.quota(tier);
            let limiter = Limiter::new(policy.name, quota, FakeRelativeClock::default());
            for left in (0..quota.count).rev() {
                assert_eq!(limiter.check(network(1)).unwrap().remaining, left, "{limiter:?}");
            }
            assert!(limiter.check(network(1)).is_err(), "{limiter:?}");
            assert!(limiter.check(network(2)).is_ok(), "{limiter:?}");
        }
    }

    #[test]
    fn who_waits_as_told_is_served_and_who_comes_earlier_is_not() {
        let clock = FakeRelativeClock::default();
        let limiter = Limiter::new("api", Quota::per_minute(7), clock.clone());
        while limiter.check(network(1)).is_ok() {}

        let wait = limiter.check(network(1)).unwrap_err().window;
        let moment = Duration::from_nanos(1);
        clock.advance(wait.saturating_sub(moment));
        assert!(limiter.check(network(1)).is_err());
        clock.advance(moment);
        assert!(limiter.check(network(1)).is_ok());
    }

    #[test]
    fn subjects_who_went_away_are_forgotten_and_the_others_are_not() {
        let clock = FakeRelativeClock::default();
        let limiter = Limiter::new("auth", Quota::per_minute(1), clock.clone());
        let visitors = u32::try_from(SWEEP_EVERY).unwrap();
        for number in 1..visitors {
            assert!(limiter.check(network(number)).is_ok());
        }
        clock.advance(Duration::from_secs(200));
        assert!(limiter.check(network(0)).is_ok());
        assert_eq!(limiter.states.len(), 1);

        for _ in 0..SWEEP_EVERY {
            assert!(limiter.check(network(0)).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn no_window_sees_more_than_a_burst_and_what_was_given_back(
            count in 1u32..50,
            pauses in prop::collection::vec(0u64..5_000, 1..400),
        ) {
            let clock = FakeRelativeClock::default();
            let quota = Quota::per_minute(count);
            let limiter = Limiter::new("api", quota, clock.clone());
            let (mut now, mut served) = (0, Vec::new());
            for pause in pauses {
                clock.advance(Duration::from_millis(pause));
                now += pause;
                if limiter.check(network(1)).is_ok() {
                    served.push(now);
                }
            }
            for (i, from) in served.iter().enumerate() {
                for (n, to) in (1u128..).zip(&served[i..]) {
                    let given_back = u128::from(to - from) * 1_000_000 / quota.interval().as_nanos();
                    assert!(n <= u128::from(count) + given_back);
                }
            }
        }
    }
}
