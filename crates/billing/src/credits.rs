use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use quotas::{GrantSource, NewGrant};
use sqlx::PgConnection;

use crate::{
    Billing, Catalogue, Result, Subscription, billed::PaidPlan, month::Month, returns::FollowMoney,
    standing::paid_plan,
};

impl Billing {
    /// Gives the plan's credits of every month of the running period that has begun until then, once, if it is paid:
    /// years have twelve months. Who changes to a better plan gets the difference, in the month of the change in
    /// proportion to what was left of it then, as with the price.
    pub(crate) async fn give_credits(
        &self,
        db: &mut PgConnection,
        catalogue: &Catalogue,
        subscription: &mut Subscription,
        (until, now): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<()> {
        let due = subscription.is_paid() && subscription.state(self.grace, now).credits;
        if !due {
            return Ok(());
        }
        let in_force = paid_plan(db, catalogue, subscription).await?;
        let credits_of = |id: &str| match catalogue.plan(id) {
            _ if in_force.id == id => in_force.credits_per_month,
            plan => plan.map_or(0, |plan| plan.credits_per_month),
        };
        let (org, id) = (subscription.org, &*subscription.stripe_subscription_id);
        let mut given = false;
        let is_new_plan = subscription.credited_plan.as_deref() != Some(&*subscription.plan);
        for month in Month::begun(subscription.period(), until) {
            let shares = shares(&subscription.paid_plans, month, credits_of);
            let due = match subscription.credited_month {
                Some(last) if month.start < last => continue,
                Some(last) if month.start == last && !is_new_plan => continue,
                // Also if it had none then: they are for those who come later.
                Some(last) if month.start == last => shares.get(1..).unwrap_or_default(),
                _ => &shares[..],
            };
            given |= give_shares(db, (org, id), month, due, now).await?;
        }
        if given {
            FollowMoney::queue(db, org).await?;
        }
        let running = Month::of(subscription.period(), until);
        subscription.credited_month = Some(running.start);
        subscription.credited_plan = Some(subscription.plan.clone());
        Ok(())
    }
}

/// Credits of a month.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Share<'a> {
    /// The plan that has them more than those before it; absent: the one that the month begins with.
    better: Option<&'a str>,
    credits: i64,
}

/// What a month gives: the credits of the plan that it begins with, and what each better one has more from when
/// it was paid. What is worse counts from the next month on.
pub(crate) fn shares<'a>(
    plans: &'a [PaidPlan],
    month: Month,
    credits_of: impl Fn(&str) -> i64,
) -> Vec<Share<'a>> {
    let mut steps: Vec<(&PaidPlan, i64)> = Vec::new();
    for it in plans.iter().filter(|it| it.from < month.end) {
        let credits = credits_of(&it.plan);
        if it.from <= month.start {
            steps.retain(|(_, before)| *before < credits);
        }
        if steps.last().is_none_or(|(_, before)| *before < credits) {
            steps.push((it, credits));
        }
    }
    let mut before = None;
    let share = |(it, credits): (&'a PaidPlan, i64)| match before.replace(credits) {
        None => Share { better: None, credits },
        Some(less) => {
            Share { better: Some(&*it.plan), credits: month.rest_of(credits - less, it.from) }
        }
    };
    steps.into_iter().map(share).collect()
}

/// Gives credits of a month of a subscription that were paid, each once, also if it is over. Plans may have none.
/// Answers whether any were given.
pub(crate) async fn give_shares(
    db: &mut PgConnection,
    (org, subscription): (Id<Org>, &str),
    month: Month,
    shares: &[Share<'_>],
    now: DateTime<Utc>,
) -> Result<bool> {
    let mut given = false;
    let key = format!("stripe:{subscription}:{}", month.start.timestamp());
    for Share { better, credits } in shares.iter().filter(|share| share.credits > 0) {
        let grant = NewGrant {
            org,
            source: GrantSource::Plan,
            amount: *credits,
            expires_at: Some(month.spendable_until(now)),
            external_id: better.map_or_else(|| key.clone(), |plan| format!("{key}:{plan}")),
        };
        given |= grant.give(db, now).await?;
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::{PaidPlan, Share, shares};
    use crate::month::Month;

    fn april(day: u32) -> DateTime<Utc> {
        format!("2026-04-{day:02}T00:00:00Z").parse().unwrap()
    }

    fn of_april(plans: &[(&str, DateTime<Utc>)]) -> Vec<(Option<String>, i64)> {
        let plans: Vec<PaidPlan> = plans
            .iter()
            .map(|(plan, from)| PaidPlan { plan: (*plan).into(), from: *from })
            .collect();
        let month = Month { start: april(1), end: "2026-05-01T00:00:00Z".parse().unwrap() };
        let credits_of = |plan: &str| match plan {
            "creator" => 100,
            "pro" => 500,
            _ => 2_500,
        };
        let shares = shares(&plans, month, credits_of);
        shares
            .into_iter()
            .map(|Share { better, credits }| (better.map(Into::into), credits))
            .collect()
    }

    #[test]
    fn each_upgrade_within_a_month_adds_its_part_of_the_difference() {
        let plans = [("creator", april(1)), ("pro", april(16)), ("agency", april(28))];
        let expected = [(None, 100), (Some("pro".into()), 200), (Some("agency".into()), 200)];
        assert_eq!(of_april(&plans), expected);
    }

    #[test]
    fn an_upgrade_of_a_month_before_adds_all_of_the_difference() {
        let march = "2026-03-10T00:00:00Z".parse().unwrap();
        let plans = [("creator", "2026-02-01T00:00:00Z".parse().unwrap()), ("pro", march)];
        assert_eq!(of_april(&plans), [(None, 100), (Some("pro".into()), 400)]);
    }

    #[test]
    fn a_worse_plan_counts_from_the_next_month_on_and_what_it_replaced_is_not_given_twice() {
        let february = "2026-02-01T00:00:00Z".parse().unwrap();
        let march = "2026-03-10T00:00:00Z".parse().unwrap();
        assert_eq!(of_april(&[("pro", february), ("creator", march)]), [(None, 100)]);
        let back = [("pro", april(1)), ("creator", april(5)), ("pro", april(9))];
        assert_eq!(of_april(&back), [(None, 500)]);
    }
}
