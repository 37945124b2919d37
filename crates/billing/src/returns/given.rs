use crate::{Billing, Result, stripe::Stripe};

use super::Paid;

impl Billing {
    /// What the credits were given for that a payment paid: a pack's are named after the payment,
    /// a plan's after the subscription and the month.
    pub(super) async fn given_for(&self, stripe: &Stripe, paid: &Paid) -> Result<Vec<String>> {
        if !paid.is_invoice() {
            return Ok(vec![format!("stripe:{}", paid.stripe_id)]);
        }
        let bill = stripe.bill(&paid.stripe_id).await?;
        let Some(subscription) = bill.subscription() else { return Ok(Vec::new()) };
        let billed = self.billed(&bill).await?;
        let prefix = format!("stripe:{}:", subscription.subscription);
        let mut given = quotas::given_for(self.db.pool(), paid.org, &prefix).await?;
        let month = |it: &String| it.strip_prefix(&prefix)?.split(':').next()?.parse().ok();
        let months: Vec<i64> = given.iter().filter_map(month).collect();
        given.retain(|it| it.strip_prefix(&prefix).is_some_and(|it| billed.pays_for(it, &months)));
        Ok(given)
    }
}
