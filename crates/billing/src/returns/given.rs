use crate::{
    Billing, Result,
    stripe::{Bill, Stripe},
};

use super::Paid;

/// The longest that a month of credits can be, in seconds.
const MONTH: i64 = 31 * 24 * 3600;

/// What Stripe may take to draw up the bill of a period that begins.
const MINUTE: i64 = 60;

impl Billing {
    /// What the credits were given for that a payment paid: a pack's are named after the payment,
    /// a plan's after the subscription and the month.
    pub(super) async fn given_for(&self, stripe: &Stripe, paid: &Paid) -> Result<Vec<String>> {
        if !paid.is_invoice() {
            return Ok(vec![format!("stripe:{}", paid.stripe_id)]);
        }
        let bill = stripe.bill(&paid.stripe_id).await?;
        let Some(subscription) = bill.subscription() else { return Ok(Vec::new()) };
        let prefix = format!("stripe:{}:", subscription.subscription);
        let mut given = quotas::given_for(self.db.pool(), paid.org, &prefix).await?;
        given.retain(|it| it.strip_prefix(&prefix).is_some_and(|rest| is_paid_by(&bill, rest)));
        Ok(given)
    }
}

/// Whether a bill pays for the credits called `1790000000` (the month that begins then) or
/// `1790000000:pro` (what a better plan has more, from some day in that month).
fn is_paid_by(bill: &Bill, given: &str) -> bool {
    let (month, is_upgrade) = match given.split_once(':') {
        Some((month, _)) => (month, true),
        None => (given, false),
    };
    let (Ok(month), Some(period)) = (month.parse::<i64>(), bill.period()) else { return false };
    let in_period = (period.start..period.end).contains(&month);
    match (bill.billing_reason.as_deref(), is_upgrade) {
        (Some("subscription_update"), true) => (month..month + MONTH).contains(&bill.created),
        // Another interval, which begins at once.
        (Some("subscription_update"), false) => in_period && bill.created <= month + MINUTE,
        // One that is drawn up when its period ends is for what was used in it.
        (Some("subscription_create" | "subscription_cycle"), false) => {
            in_period && bill.created < period.end
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use miniserde::json::from_str;

    use super::{Bill, is_paid_by};

    fn bill(reason: &str, created: i64, periods: &[(i64, i64)]) -> Bill {
        let lines: Vec<String> = periods
            .iter()
            .map(|(start, end)| format!(r#"{{"period": {{"start": {start}, "end": {end}}}}}"#))
            .collect();
        let json = format!(
            r#"{{"id": "in_1", "amount_paid": 1, "currency": "usd", "created": {created},
                 "billing_reason": "{reason}", "lines": {{"data": [{}]}}}}"#,
            lines.join(",")
        );
        from_str(&json).unwrap()
    }

    #[test]
    fn a_bill_pays_for_the_months_of_its_period() {
        let year = bill("subscription_cycle", 1_000_000, &[(1_000_000, 32_536_000)]);
        assert!(is_paid_by(&year, "1000000") && is_paid_by(&year, "29000000"));
        assert!(!is_paid_by(&year, "999999") && !is_paid_by(&year, "32536000"));
        assert!(!is_paid_by(&year, "1000000:pro"), "that has a bill of its own");
        assert!(!is_paid_by(&year, "nonsense"));
    }

    #[test]
    fn what_was_left_of_the_period_before_does_not_count() {
        let periods = [(400_000, 1_000_000), (1_000_000, 3_592_000)];
        let month = bill("subscription_cycle", 1_000_000, &periods);
        assert!(is_paid_by(&month, "1000000") && !is_paid_by(&month, "400000"));
    }

    #[test]
    fn what_is_billed_when_a_period_ends_pays_for_none_of_its_credits() {
        let used = bill("subscription_cycle", 3_592_000, &[(1_000_000, 3_592_000)]);
        assert!(!is_paid_by(&used, "1000000"));
        let cancelled = bill("manual", 1_500_000, &[(1_000_000, 3_592_000)]);
        assert!(!is_paid_by(&cancelled, "1000000"));
    }

    #[test]
    fn a_year_that_begins_within_a_month_pays_for_its_own_months() {
        let year = bill("subscription_update", 1_500_000, &[(1_500_000, 33_036_000)]);
        assert!(is_paid_by(&year, "1500000") && is_paid_by(&year, "29000000"));
        assert!(!is_paid_by(&year, "1000000"));
    }

    #[test]
    fn an_upgrade_pays_for_its_difference_only() {
        let upgrade = bill("subscription_update", 1_500_000, &[(1_500_000, 3_592_000)]);
        assert!(is_paid_by(&upgrade, "1000000:pro") && !is_paid_by(&upgrade, "1000000"));
        assert!(!is_paid_by(&upgrade, "4000000:agency"));
    }
}
