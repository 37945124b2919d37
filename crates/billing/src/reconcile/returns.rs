use chrono::{DateTime, Utc};
use kernel::Id;

use super::{Finding, IN_FLIGHT, Report};
use crate::{Billing, Error, Refund, Result, stripe::Stripe};

/// A refund or dispute at Stripe, as far as it is compared.
struct Theirs<'a> {
    table: Table,
    id: &'a str,
    status: &'a str,
    amount: i64,
    currency: &'a str,
    intent: Option<&'a str>,
    charge: Option<&'a str>,
}

#[derive(Clone, Copy)]
enum Table {
    Refunds,
    Disputes,
}

impl Billing {
    /// Has Stripe asked for every refund that was written down but never answered.
    pub(super) async fn send_waiting(&self, now: DateTime<Utc>, report: &mut Report) -> Result<()> {
        let waiting = sqlx::query_scalar!(
            r#"select id as "id: Id<Refund>" from refunds
               where status = 'requested' and created_at < $1
               order by created_at"#,
            now - IN_FLIGHT,
        )
        .fetch_all(self.db.pool())
        .await?;
        report.count("refunds_requested", waiting.len());
        for id in waiting {
            let sent = match self.send_refund(id).await {
                Err(error @ Error::Stripe(_)) => return Err(error),
                sent => sent,
            };
            let detail = match &sent {
                Ok(refund) => format!("asked for, and never answered; now {}", refund.status),
                Err(error) => error.to_string(),
            };
            report.found(Finding {
                kind: "refund_unanswered".to_owned(),
                object: id.to_string(),
                org_id: None,
                detail,
                repaired: matches!(sent, Ok(_) | Err(Error::RefundRefused { .. })),
            });
        }
        Ok(())
    }

    /// Every refund at Stripe is here as it is there.
    pub(super) async fn compare_refunds(
        &self,
        stripe: &Stripe,
        since: DateTime<Utc>,
        report: &mut Report,
    ) -> Result<()> {
        let refunds = stripe.refunds_since(since).await?;
        report.count("refunds", refunds.len());
        for refund in &refunds {
            let theirs = Theirs {
                table: Table::Refunds,
                id: &refund.id,
                status: refund.status.as_deref().unwrap_or("pending"),
                amount: refund.amount,
                currency: &refund.currency,
                intent: refund.payment_intent.as_deref(),
                charge: refund.charge.as_deref(),
            };
            self.compare_return(stripe, &theirs, report).await?;
        }
        Ok(())
    }

    /// Every dispute at Stripe is here as it is there.
    pub(super) async fn compare_disputes(
        &self,
        stripe: &Stripe,
        since: DateTime<Utc>,
        report: &mut Report,
    ) -> Result<()> {
        let disputes = stripe.disputes_since(since).await?;
        report.count("disputes", disputes.len());
        for dispute in &disputes {
            let theirs = Theirs {
                table: Table::Disputes,
                id: &dispute.id,
                status: &dispute.status,
                amount: dispute.amount,
                currency: &dispute.currency,
                intent: dispute.payment_intent.as_deref(),
                charge: dispute.charge.as_deref(),
            };
            self.compare_return(stripe, &theirs, report).await?;
        }
        Ok(())
    }

    async fn compare_return(
        &self,
        stripe: &Stripe,
        theirs: &Theirs<'_>,
        report: &mut Report,
    ) -> Result<()> {
        let before = self.shown(theirs).await?;
        if before.as_deref() == Some(theirs.status) {
            return Ok(());
        }
        let intent = match (theirs.intent, theirs.charge) {
            (Some(intent), _) => Some(intent.to_owned()),
            (None, Some(charge)) => stripe.intent_of(charge).await?,
            (None, None) => None,
        };
        let Some(intent) = intent else { return Ok(()) };
        let Some(paid) = self.paid(stripe, &intent).await? else {
            return Ok(()); // Of something that was not sold here.
        };
        self.apply_returns(stripe, &intent).await?;
        let what = match theirs.table {
            Table::Refunds => "refund",
            Table::Disputes => "dispute",
        };
        let how = if before.is_some() { "differs" } else { "missing" };
        let Theirs { id, status, amount, currency, .. } = theirs;
        let ours = before.as_deref().unwrap_or("none");
        report.found(Finding {
            kind: format!("{what}_{how}"),
            object: (*id).to_owned(),
            org_id: Some(paid.org),
            detail: format!("{status} {amount} {currency}, we had {ours}"),
            repaired: self.shown(theirs).await?.as_deref() == Some(theirs.status),
        });
        Ok(())
    }

    /// How we have it.
    async fn shown(&self, theirs: &Theirs<'_>) -> sqlx::Result<Option<String>> {
        let db = self.db.pool();
        match theirs.table {
            Table::Refunds => {
                sqlx::query_scalar!("select status from refunds where stripe_id = $1", theirs.id)
                    .fetch_optional(db)
                    .await
            }
            Table::Disputes => {
                sqlx::query_scalar!("select status from disputes where stripe_id = $1", theirs.id)
                    .fetch_optional(db)
                    .await
            }
        }
    }
}
