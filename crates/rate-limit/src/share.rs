use std::{cmp::max, time::Duration};

use crate::Quota;

/// Within what time an instance hears of a change of their number, and within what time it has
/// renewed its own lease.
pub(crate) const BEAT: Duration = Duration::from_secs(2);

/// Nobody waits longer than this for what another instance may have given away before. Quotas over
/// longer periods may be passed by what was used in the rest of the period.
const LONGEST_DEBT: Duration = Duration::from_mins(1);

/// Which part of every quota this instance may give away: one of as many as there are instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// Instances alive, this one included.
    pub(crate) instances: u32,
    debt: Debt,
}

/// What nobody's bucket holds for a while, because another instance may have given it away: a part
/// of the quota, in thousandths, at a moment, and ever less from then on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Debt {
    since: Duration,
    thousandths: u32,
}

impl Debt {
    fn end(self, period: Duration) -> Duration {
        self.since + period.min(LONGEST_DEBT) * self.thousandths / 1000
    }
}

impl Share {
    /// Nobody else is there.
    pub(crate) const ALONE: Self =
        Self { instances: 1, debt: Debt { since: Duration::ZERO, thousandths: 0 } };

    /// The share of one who joins `others`, at the moment `now` of its clock. They may have given
    /// everything away, and go on giving until they notice: so it begins with nothing.
    pub(crate) fn joining(others: u32, now: Duration) -> Self {
        if others == 0 {
            return Self::ALONE;
        }
        Self { instances: others + 1, debt: Debt { since: now + BEAT, thousandths: 1000 } }
    }

    /// The share once `others` are there. Whoever left may have given away its part just before:
    /// so a part that grows is filled by time alone.
    pub(crate) fn among(self, others: u32, now: Duration) -> Self {
        let instances = others + 1;
        if instances >= self.instances {
            return Self { instances, ..self };
        }
        let thousandths = 1000 - 1000 * instances / self.instances;
        let debt = Debt { since: now, thousandths };
        let longer = |debt: &Debt| debt.end(LONGEST_DEBT);
        Self { instances, debt: std::cmp::max_by_key(self.debt, debt, longer) }
    }

    /// What one request costs: the time in which `quota` gives all instances as many requests as
    /// there are of them. An instance serves at least one at a time, or it would serve nobody.
    pub(crate) fn cost(&self, quota: Quota) -> Duration {
        quota.interval() * self.instances.min(max(quota.count, 1))
    }

    /// From when on a bucket that was never drawn from is full.
    pub(crate) fn full_at(&self, quota: Quota) -> Duration {
        self.debt.end(quota.per)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BEAT, Share};
    use crate::Quota;

    const TEN: Quota = Quota::per_minute(10);

    #[test]
    fn a_share_is_one_of_as_many_as_there_are_instances_and_never_less_than_one_request() {
        for (instances, seconds) in [(1, 6), (2, 12), (3, 18), (10, 60), (11, 60), (500, 60)] {
            let share = Share::ALONE.among(instances - 1, Duration::ZERO);
            assert_eq!(share.cost(TEN), Duration::from_secs(seconds), "{instances}");
        }
    }

    #[test]
    fn who_joins_others_begins_with_nothing_and_who_is_alone_with_everything() {
        let now = Duration::from_secs(5);
        assert_eq!(Share::joining(0, now).full_at(TEN), Duration::ZERO);
        let full = now + BEAT + Duration::from_mins(1);
        assert_eq!(Share::joining(1, now).full_at(TEN), full);
        assert_eq!(Share::joining(1, now).full_at(Quota::per_hour(20)), full);
    }

    #[test]
    fn what_one_leaves_comes_with_time() {
        let now = Duration::from_mins(10);
        let share = Share::ALONE.among(3, now);
        assert_eq!(share.full_at(TEN), Duration::ZERO);
        assert_eq!(share.among(2, now).full_at(TEN), now + Duration::from_secs(15));
        assert_eq!(share.among(0, now).full_at(TEN), now + Duration::from_secs(45));
    }

    #[test]
    fn one_who_leaves_does_not_pay_the_debts_of_one_who_joined() {
        let now = Duration::from_secs(5);
        let joined = Share::joining(3, now);
        assert_eq!(joined.among(2, now).full_at(TEN), joined.full_at(TEN));
    }
}
