//! Every night our books are compared with Stripe's, page by page: payments, refunds, disputes,
//! subscriptions. What differs is taken over from Stripe and looked at again; what then still differs
//! is reported to people.

mod charges;
mod customers;
mod overage;
mod report;
mod returns;
mod subscriptions;

use chrono::{DateTime, TimeDelta, Utc};
use jobs::Job;
use quotas::Violation;
use serde::{Deserialize, Serialize};

use report::Report;
pub use report::{Finding, Reconciliation};

use crate::{Billing, Error, Result, inbox, stripe::Stripe, violations};

/// How far back each look goes at least: longer than Stripe tries to deliver an event.
const WINDOW: TimeDelta = TimeDelta::days(7);
/// How far back the first look goes; others begin where the last one that was whole ended.
const FIRST: TimeDelta = TimeDelta::days(35);
/// Bank debits are collected for weeks.
const CHARGES: TimeDelta = TimeDelta::days(35);
/// Refunds may come back from the bank for weeks after they were made.
const REFUNDS: TimeDelta = TimeDelta::days(60);
/// Disputes are decided after months.
const DISPUTES: TimeDelta = TimeDelta::days(180);
/// What is younger may be on its way through the inbox.
const IN_FLIGHT: TimeDelta = TimeDelta::minutes(5);

/// Compares our books with Stripe's.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reconcile {}

impl Job for Reconcile {
    const NAME: &'static str = "billing.reconcile";
    const MAX_ATTEMPTS: i16 = 5;
    type Context = Billing;

    async fn run(self, billing: Billing) -> anyhow::Result<()> {
        match billing.reconcile().await {
            Err(Error::NotConfigured) | Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Billing {
    /// Compares our books with Stripe's, repairs what can be, keeps the report, and mails the operators
    /// if anything differed.
    pub async fn reconcile(&self) -> Result<Reconciliation> {
        let stripe = self.stripe()?;
        let started = self.clock.now();
        let mut report = Report::default();
        let since = Reconciliation::last_success(self.db.pool()).await?.unwrap_or(started - FIRST);
        let since = (since - IN_FLIGHT).min(started - WINDOW);
        let outcome = self.compare_books(stripe, (since, started), &mut report).await;
        let failure = outcome.as_ref().err().map(ToString::to_string);
        let kept = report.keep(self.db.pool(), since, started, failure).await?;
        if kept.failure.is_some() || !kept.findings.is_empty() {
            self.alert("Our books differed from Stripe's", &kept.summary()).await?;
        }
        outcome?;
        inbox::purge(self.db.pool(), started).await?;
        Ok(kept)
    }

    async fn compare_books(
        &self,
        stripe: &Stripe,
        (since, now): (DateTime<Utc>, DateTime<Utc>),
        report: &mut Report,
    ) -> Result<()> {
        self.send_waiting(now, report).await?;
        let unheard = self.compare_charges(stripe, (since.min(now - CHARGES), now), report).await?;
        self.compare_refunds(stripe, since.min(now - REFUNDS), report).await?;
        self.compare_disputes(stripe, now - DISPUTES, report).await?;
        self.compare_customers(stripe, since, report).await?;
        self.compare_subscriptions(stripe, report).await?;
        // What they paid may be a period that runs, of which we heard that it began.
        for customer in &unheard {
            self.take_over_standing(stripe, customer).await?;
        }
        report.count("returned_invoices", self.follow_money(stripe, None).await?);
        self.compare_overage(stripe, now, report).await?;
        let mut tx = self.db.begin().await?;
        let waiting = inbox::requeue_waiting(&mut tx, now - IN_FLIGHT).await?;
        tx.commit().await?;
        report.count("events_waiting", waiting);
        for Violation { rule, subject, detail } in violations(self.db.pool()).await? {
            let (kind, object) = (rule, subject);
            report.found(Finding { kind, object, org_id: None, detail, repaired: false });
        }
        Ok(())
    }
}
