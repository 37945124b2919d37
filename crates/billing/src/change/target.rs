use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ChangeRefused;
use crate::{Catalogue, Error, Interval, Offer, Plan, Result, Subscription};

/// What to change. What is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubscriptionChange)]
pub(crate) struct ChangeInput {
    /// Another plan or interval: `plan-{id}-month` or `plan-{id}-year`.
    #[schema(example = "plan-pro-year", max_length = 100)]
    pub(crate) item: Option<String>,
    /// Seats beyond those of the plan.
    #[schema(minimum = 0, maximum = 10_000)]
    pub(crate) extra_seats: Option<i64>,
    /// How many credits may be used in a period beyond those the org has, billed with the next invoice; 0: none.
    /// `overage` in the answer tells the price and how many the plan offers.
    #[schema(minimum = 0)]
    pub(crate) overage_credits: Option<i64>,
    /// `true`: ends with the period. `false`: is renewed after all, whatever was to happen then.
    pub(crate) cancel_at_period_end: Option<bool>,
}

/// More is a mistake.
const MOST_SEATS: i64 = 10_000;

/// What a subscription is to be.
#[derive(Clone, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) interval: Interval,
    pub(crate) extra_seats: i64,
    /// What prices are in.
    pub(crate) currency: &'a str,
}

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SubscriptionChangeTime)]
pub(crate) enum When {
    /// It is so already.
    Never,
    /// At once; what is left of the period is paid in proportion.
    Now,
    /// When the period that is paid ends.
    PeriodEnd,
}

impl ChangeInput {
    /// Whether nothing is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What `subscription` is to be, if something of what it is for changes.
    pub(crate) fn target<'a>(
        &self,
        subscription: &Subscription,
        catalogue: &'a Catalogue,
    ) -> Result<Option<Target<'a>>> {
        if self.item.is_none() && self.extra_seats.is_none() {
            return Ok(None);
        }
        let unknown = |item: &str| Error::UnknownItem { item: item.to_owned() };
        let (plan, interval) = match &self.item {
            None => {
                let plan = catalogue.plan(&subscription.plan);
                (plan.ok_or_else(|| unknown(&subscription.plan))?, subscription.interval)
            }
            Some(item) => match catalogue.offer(item) {
                Some(Offer::Plan(plan, interval)) => (plan, interval),
                _ => return Err(unknown(item)),
            },
        };
        let extra_seats = self.extra_seats.unwrap_or(subscription.extra_seats);
        if !(0..=MOST_SEATS).contains(&extra_seats) {
            return Err(ChangeRefused::NoSuchSeats { plan: plan.name.clone() }.into());
        }
        if extra_seats > 0 && plan.seat_cents(interval) == 0 {
            return Err(ChangeRefused::NoSuchSeats { plan: plan.name.clone() }.into());
        }
        let currency = catalogue.currency();
        Ok(Some(Target { plan, interval, extra_seats, currency }))
    }
}

impl Target<'_> {
    /// What costs more begins now, what costs less when the period ends that is paid. In a trial
    /// nothing is paid yet, so everything begins now.
    pub(crate) fn when(
        &self,
        subscription: &Subscription,
        catalogue: &Catalogue,
        now: DateTime<Utc>,
    ) -> When {
        let rank = |id: &str| catalogue.plans().iter().position(|plan| plan.id == id);
        let is = (rank(&subscription.plan), subscription.interval, subscription.extra_seats);
        let wanted = (rank(&self.plan.id), self.interval, self.extra_seats);
        // What was used is billed when the period ends.
        let unbilled = subscription.overage_cents > 0 && self.overage() == 0;
        let trial = subscription.status == "trialing"
            && subscription.trial_end.is_some_and(|end| now < end);
        match wanted.cmp(&is) {
            std::cmp::Ordering::Equal => When::Never,
            std::cmp::Ordering::Greater if unbilled => When::PeriodEnd,
            std::cmp::Ordering::Greater => When::Now,
            std::cmp::Ordering::Less if trial => When::Now,
            std::cmp::Ordering::Less => When::PeriodEnd,
        }
    }

    /// How many credits of overage it offers.
    pub(crate) fn overage(&self) -> i64 {
        self.plan.overage(self.interval)
    }

    /// People who may belong to the org then.
    pub(crate) fn seats(&self) -> i64 {
        self.plan.seats.saturating_add(self.extra_seats)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use kernel::Id;

    use super::{ChangeInput, ChangeRefused, When};
    use crate::{Catalogue, Error, Interval, Subscription};

    fn when(item: Option<&str>, extra_seats: Option<i64>) -> When {
        let catalogue = Catalogue::embedded();
        let (start, now) = (DateTime::from_timestamp(0, 0), DateTime::from_timestamp(1, 0));
        let (start, now) = (start.unwrap(), now.unwrap());
        let mut pro = Subscription::example(Id::new(), Interval::Month, start, now);
        pro.plan = "pro".into();
        pro.extra_seats = 2;
        let input =
            ChangeInput { item: item.map(Into::into), extra_seats, ..ChangeInput::default() };
        let target = input.target(&pro, &catalogue).unwrap().unwrap();
        target.when(&pro, &catalogue, now)
    }

    #[test]
    fn what_costs_more_begins_now_and_what_costs_less_with_the_next_period() {
        assert_eq!(when(Some("plan-agency-month"), None), When::Now);
        assert_eq!(when(Some("plan-agency-month"), Some(0)), When::Now);
        assert_eq!(when(Some("plan-pro-year"), None), When::Now);
        assert_eq!(when(None, Some(3)), When::Now);
        assert_eq!(when(Some("plan-creator-year"), Some(0)), When::PeriodEnd);
        assert_eq!(when(None, Some(1)), When::PeriodEnd);
        assert_eq!(when(Some("plan-pro-month"), Some(2)), When::Never);
    }

    #[test]
    fn seats_can_only_be_added_to_plans_that_sell_them() {
        let catalogue = Catalogue::embedded();
        let time = DateTime::from_timestamp(0, 0).unwrap();
        let creator = Subscription::example(Id::new(), Interval::Month, time, time);
        for (item, seats) in
            [(None, 1), (Some("plan-pro-month"), -1), (Some("plan-pro-month"), 10_001)]
        {
            let input = ChangeInput {
                item: item.map(Into::into),
                extra_seats: Some(seats),
                ..ChangeInput::default()
            };
            let refused = input.target(&creator, &catalogue).unwrap_err();
            assert!(
                matches!(refused, Error::Change(ChangeRefused::NoSuchSeats { .. })),
                "{item:?} {seats}"
            );
        }
    }
}
