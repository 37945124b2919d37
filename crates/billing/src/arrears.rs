use auth::Recipient;
use chrono::{DateTime, TimeDelta, Utc};
use email::{Notice, PaymentFailed};
use kernel::{Id, Org};
use sqlx::PgConnection;

use crate::{Billing, Result, Subscription, subscription};

/// How many times people are told of an overdue bill: when it becomes so, after three days, on the
/// last day of grace, and when the plan is taken out of force.
const REMINDERS: usize = 4;

impl Billing {
    /// When each reminder is due, counted from the bill.
    fn reminders(&self) -> [TimeDelta; REMINDERS] {
        let day = TimeDelta::days(1);
        let last = (self.grace - day).max(TimeDelta::zero());
        [TimeDelta::zero(), (day * 3).min(last), last, self.grace]
    }

    /// Reminds of an overdue bill if it is time, of all missed occasions at once; when the grace is
    /// over the plan is no longer in force.
    pub(crate) async fn remind(&self, org: Id<Org>) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        subscription::lock(&mut tx, org).await?;
        let Some(mut it) = Subscription::of(&mut *tx, org).await? else { return Ok(()) };
        let Some(since) = it.past_due_since else { return Ok(()) };
        let due = self.reminders().iter().filter(|after| since + **after <= now).count();
        let due = i16::try_from(due).unwrap_or(i16::MAX);
        if due <= it.reminders {
            return Ok(());
        }
        it.reminders = due;
        it.save(&mut tx, now).await?;
        self.entitle(&mut tx, org, now).await?;
        self.mail_reminder(&mut tx, &it, since + self.grace, now).await?;
        Ok(tx.commit().await?)
    }

    async fn mail_reminder(
        &self,
        db: &mut PgConnection,
        subscription: &Subscription,
        end: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let in_force = subscription.state(self.grace, now).gives_plan();
        let (plan, until) = (&*subscription.plan, in_force.then_some(end));
        for Recipient { email, user, name } in
            &Recipient::payers(&mut *db, subscription.org).await?
        {
            let mail = PaymentFailed { name, plan, until };
            self.mailer.queue(db, email, *user, &mail).await?;
        }
        Ok(())
    }

    /// Mails something about their plan to everybody who pays for an org.
    pub(crate) async fn mail_payers(
        &self,
        db: &mut PgConnection,
        org: Id<Org>,
        subject: &str,
        paragraphs: &[String],
    ) -> Result<()> {
        for Recipient { email, user, name } in &Recipient::payers(&mut *db, org).await? {
            let notice = Notice { name, subject, paragraphs };
            self.mailer.queue(db, email, *user, &notice).await?;
        }
        Ok(())
    }
}
