use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use dashmap::DashMap;

use crate::{charge::Charge, share::Share, standing::Standing, subject::Subject};

/// Requests between two looks for subjects that can be forgotten, at least.
const SWEEP_EVERY: usize = 4096;

/// Counts requests in memory, by GCRA: for each policy and subject it keeps the theoretical arrival
/// time of the next request, on a clock that began with the process.
///
/// Own code, though libraries for it exist: theirs fix a quota when they begin to count, and ours
/// changes with the number of instances and with what an org sets for a key.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    arrivals: DashMap<(&'static str, Subject), Duration>,
    /// Since the last look for subjects that can be forgotten.
    checks: AtomicUsize,
    /// How many it left.
    kept: AtomicUsize,
}

impl Tally {
    /// Counts one request against all of `charges`, or, if it is one too many for any, against
    /// none. Tells the tightest, or the one that refuses.
    pub(crate) fn check(
        &self,
        charges: &[Charge],
        share: Share,
        now: Duration,
    ) -> Result<Option<Standing>, Standing> {
        self.sweep_sometimes(now);
        let mut tightest: Option<Standing> = None;
        for (passed, charge) in charges.iter().enumerate() {
            match self.take(charge, share, now) {
                Ok(standing) => tightest = Some(standing.or_tighter(tightest)),
                Err(refused) => {
                    charges[..passed].iter().for_each(|charge| self.give_back(charge, share));
                    return Err(refused);
                }
            }
        }
        Ok(tightest)
    }

    /// Counts a request that was decided on elsewhere, so that this count can take over.
    pub(crate) fn note(&self, charges: &[Charge], share: Share, now: Duration) {
        self.sweep_sometimes(now);
        for charge in charges {
            let mut arrival = self.arrivals.entry((charge.policy, charge.subject)).or_default();
            let next = (*arrival).max(now) + share.cost(charge.quota);
            *arrival = next.min(now + charge.quota.per);
        }
    }

    fn take(&self, charge: &Charge, share: Share, now: Duration) -> Result<Standing, Standing> {
        let quota = charge.quota;
        let cost = share.cost(quota);
        let mut arrival = self.arrivals.entry((charge.policy, charge.subject)).or_default();
        let next = (*arrival).max(share.full_at(quota)).max(now) + cost;
        let ahead = next.saturating_sub(now);
        let Some(left) = quota.per.checked_sub(ahead) else {
            let wait = ahead.saturating_sub(quota.per);
            return Err(Standing::refused(charge.policy, quota, wait));
        };
        *arrival = next;
        let left = left.as_nanos().checked_div(cost.as_nanos()).unwrap_or_default();
        Ok(Standing {
            policy: charge.policy,
            quota,
            remaining: left.try_into().unwrap_or(u32::MAX),
            window: cost,
        })
    }

    fn give_back(&self, charge: &Charge, share: Share) {
        if let Some(mut arrival) = self.arrivals.get_mut(&(charge.policy, charge.subject)) {
            *arrival = arrival.saturating_sub(share.cost(charge.quota));
        }
    }

    /// Forgets subjects whose quota is whole again, once per so many requests that it costs each
    /// of them next to nothing. So memory is bounded by twice the subjects of one period.
    fn sweep_sometimes(&self, now: Duration) {
        if self.checks.fetch_add(1, Relaxed) + 1 >= SWEEP_EVERY.max(self.kept.load(Relaxed)) {
            self.checks.store(0, Relaxed);
            self.arrivals.retain(|_, arrival| *arrival > now);
            self.arrivals.shrink_to_fit();
            self.kept.store(self.arrivals.len(), Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{SWEEP_EVERY, Tally};
    use crate::{Quota, charge::Charge, share::Share, subject::Subject};

    const START: Duration = Duration::from_secs(1000);

    fn charge(policy: &'static str, quota: Quota, network: u32) -> Charge {
        Charge {
            policy,
            quota,
            subject: Subject::Network(std::net::Ipv4Addr::from(network).into()),
        }
    }

    fn passes(tally: &Tally, charges: &[Charge], share: Share, now: Duration) -> bool {
        tally.check(charges, share, now).is_ok()
    }

    #[test]
    fn a_burst_passes_and_then_one_whenever_one_is_given_back() {
        let tally = Tally::default();
        let five = [charge("api", Quota::per_minute(5), 1)];
        let burst = (0..9).filter(|_| passes(&tally, &five, Share::ALONE, START)).count();
        assert_eq!(burst, 5);

        let wait = tally.check(&five, Share::ALONE, START).unwrap_err().window;
        assert_eq!(wait, Duration::from_secs(12));
        let moment = Duration::from_nanos(1);
        assert!(!passes(&tally, &five, Share::ALONE, START + wait.saturating_sub(moment)));
        assert!(passes(&tally, &five, Share::ALONE, START + wait));
        assert!(!passes(&tally, &five, Share::ALONE, START + wait));
    }

    #[test]
    fn what_one_limit_refuses_costs_nothing_under_the_others_and_is_named() {
        let tally = Tally::default();
        let (wide, narrow) = (Quota::per_minute(10), Quota::per_minute(3));
        let both = [charge("wide", wide, 1), charge("narrow", narrow, 1)];
        for left in [2, 1, 0] {
            let tightest = tally.check(&both, Share::ALONE, START).unwrap().unwrap();
            assert_eq!((tightest.policy, tightest.remaining), ("narrow", left));
        }
        for _ in 0..20 {
            assert_eq!(tally.check(&both, Share::ALONE, START).unwrap_err().policy, "narrow");
        }
        let left = (0..20).filter(|_| passes(&tally, &both[..1], Share::ALONE, START)).count();
        assert_eq!(left, 7);
    }

    #[test]
    fn exactly_the_quota_passes_however_many_ask_at_once() {
        let tally = Tally::default();
        let (person, org) = (Quota::per_minute(100), Quota::per_minute(150));
        let served: usize = std::thread::scope(|scope| {
            let ask = |person_number| {
                let tally = &tally;
                move || {
                    let charges = [charge("api", person, person_number), charge("api-org", org, 9)];
                    (0..500).filter(|_| passes(tally, &charges, Share::ALONE, START)).count()
                }
            };
            let threads = [1, 1, 2, 2].map(|number| scope.spawn(ask(number)));
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(served, 150);
    }

    #[test]
    fn the_shares_of_all_instances_are_no_more_than_the_quota() {
        for (instances, count) in [(2, 5), (3, 10), (4, 100), (7, 7)] {
            let quota = [charge("api", Quota::per_minute(count), 1)];
            let share = Share::ALONE.among(instances - 1, Duration::ZERO);
            let served = (0..instances)
                .map(|_| Tally::default())
                .flat_map(|tally| {
                    (0..200).map(move |_| passes(&tally, &quota, share, START)).collect::<Vec<_>>()
                })
                .filter(|passed| *passed)
                .count();
            assert_eq!(served, (count / instances * instances) as usize);
        }
    }

    #[test]
    fn a_count_taken_over_goes_on_where_the_other_stood() {
        let tally = Tally::default();
        let five = [charge("api", Quota::per_minute(5), 1)];
        for _ in 0..3 {
            tally.note(&five, Share::ALONE, START);
        }
        let left = (0..9).filter(|_| passes(&tally, &five, Share::ALONE, START)).count();
        assert_eq!(left, 2);

        for _ in 0..100 {
            tally.note(&five, Share::ALONE, START);
        }
        let given_back = START + Duration::from_secs(12);
        assert!(passes(&tally, &five, Share::ALONE, given_back), "a debt beyond the quota");
    }

    #[test]
    fn subjects_who_went_away_are_forgotten_and_the_others_are_not() {
        let tally = Tally::default();
        let once = |network| [charge("auth", Quota::per_minute(1), network)];
        let visitors = u32::try_from(SWEEP_EVERY).unwrap();
        for number in 1..visitors {
            assert!(passes(&tally, &once(number), Share::ALONE, START));
        }
        let later = START + Duration::from_secs(200);
        assert!(passes(&tally, &once(0), Share::ALONE, later));
        assert_eq!(tally.arrivals.len(), 1);
        for _ in 0..SWEEP_EVERY {
            assert!(!passes(&tally, &once(0), Share::ALONE, later));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn no_window_sees_more_than_a_burst_and_what_was_given_back(
            count in 1u32..50,
            instances in 1u32..4,
            pauses in prop::collection::vec(0u64..5_000, 1..400),
        ) {
            let quota = Quota::per_minute(count);
            let share = Share::ALONE.among(instances - 1, Duration::ZERO);
            let charges = [charge("api", quota, 1)];
            let (tally, mut now, mut served) = (Tally::default(), START, Vec::new());
            for pause in pauses {
                now += Duration::from_millis(pause);
                if passes(&tally, &charges, share, now) {
                    served.push(now);
                }
            }
            let burst = u128::from((count / instances).max(1));
            for (i, from) in served.iter().enumerate() {
                for (n, to) in (1u128..).zip(&served[i..]) {
                    let given_back = to.saturating_sub(*from).as_nanos() / share.cost(quota).as_nanos();
                    assert!(n <= burst + given_back + u128::from(instances > 1));
                }
            }
        }
    }
}
