use crate::{
    Billing, Result,
    stripe::{Bill, Stripe},
};

use super::Paid;

/// The longest that a month of credits can be, in seconds.
const MONTH: i64 = 31 * 24 * 3600;

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
    match bill.billing_reason.as_deref() {
        Some("subscription_update") => is_upgrade && (month..month + MONTH).contains(&bill.created),
        _ => !is_upgrade && (period.start..period.end).contains(&month),
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
    fn an_upgrade_pays_for_its_difference_only() {
        let upgrade = bill("subscription_update", 1_500_000, &[(1_500_000, 3_592_000)]);
        assert!(is_paid_by(&upgrade, "1000000:pro") && !is_paid_by(&upgrade, "1000000"));
        assert!(!is_paid_by(&upgrade, "4000000:agency"));
    }
}
