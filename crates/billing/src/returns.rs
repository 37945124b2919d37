//! Money that goes back: what Stripe says of a payment's refunds and disputes becomes true here.
//!
//! Nothing is computed from an event. All refunds and disputes of the payment are fetched, their sum
//! decides how much is returned, and that share of the credits is taken back or given back: in any
//! order, any number of times.

mod books;
mod follow;
mod given;
mod paid;
mod request;

use sqlx::PgConnection;

pub(crate) use books::fee;
pub(crate) use follow::FollowMoney;
pub(crate) use paid::Paid;
pub use request::RefundInput;
pub(crate) use request::SendRefund;

use crate::{
    Billing, Error, Result, customer::Customer, dispute, dispute::Dispute, event::Outcome,
    refund::Refund, stripe, stripe::Stripe,
};

/// How often a payment's state is fetched because others took over a newer one meanwhile.
const ATTEMPTS: usize = 10;

/// What Stripe says of a payment.
struct Returned {
    refunds: Vec<stripe::Refund>,
    disputes: Vec<stripe::Dispute>,
    /// What the credits were given for that the payment paid.
    given_for: Vec<String>,
}

impl Billing {
    /// Makes our books of a payment's refunds and disputes what they are at Stripe now.
    pub(crate) async fn apply_returns(&self, stripe: &Stripe, intent: &str) -> Result<Outcome> {
        for _ in 0..ATTEMPTS {
            let Some(paid) = self.paid(stripe, intent).await? else {
                return Ok(Outcome::Ignored);
            };
            let Some(customer) = Customer::of(self.db.pool(), paid.org).await? else {
                return Ok(Outcome::Refused);
            };
            let returned = Returned {
                refunds: stripe.refunds_of(intent).await?,
                disputes: stripe.disputes_of(intent).await?,
                given_for: self.given_for(stripe, &paid).await?,
            };
            let mut tx = self.db.begin().await?;
            if customer.claim(&mut tx).await? {
                self.take_over_returns(&mut tx, &paid, &returned).await?;
                tx.commit().await?;
                return Ok(Outcome::Applied);
            }
        }
        Err(Error::Contended)
    }

    async fn take_over_returns(
        &self,
        db: &mut PgConnection,
        paid: &Paid,
        returned: &Returned,
    ) -> Result<()> {
        let now = self.clock.now();
        paid.lock(&mut *db).await?;
        for refund in &returned.refunds {
            Refund::save(&mut *db, paid, refund, now).await?;
            books::refund(&mut *db, paid, refund, now).await?;
        }
        for dispute in &returned.disputes {
            Dispute::save(&mut *db, paid, dispute, now).await?;
            books::dispute(&mut *db, paid, dispute, now).await?;
            if dispute::is_open(&dispute.status) {
                tracing::warn!(org = %paid.org, dispute = dispute.id, "a payment is disputed");
            }
        }
        let share = quotas::Share { returned: paid.sum_up(&mut *db).await?, paid: paid.amount };
        let change = quotas::take_back(db, paid.org, &returned.given_for, share, now).await?;
        if change != 0 {
            tracing::info!(org = %paid.org, payment = %paid.id, change, "credits follow their money");
        }
        Ok(())
    }
}
