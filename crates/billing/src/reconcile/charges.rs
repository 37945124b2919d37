use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::{Finding, IN_FLIGHT, Report, WINDOW};
use crate::{
    Billing, Failure, Result,
    customer::Customer,
    returns::{Paid, fee},
    stripe::{Charge, Stripe},
};

impl Billing {
    /// Every charge of our customers has a payment here, and its fee is booked; every payment here is
    /// known to Stripe. Answers who paid without our knowledge.
    pub(super) async fn compare_charges(
        &self,
        stripe: &Stripe,
        (since, now): (DateTime<Utc>, DateTime<Utc>),
        report: &mut Report,
    ) -> Result<Vec<Customer>> {
        let charges = stripe.charges_since(since).await?;
        report.count("charges", charges.len());
        let (mut seen, mut unheard) = (HashSet::new(), Vec::new());
        for charge in charges.iter().filter(|it| it.paid) {
            if let Some(paid) = self.compare_charge(stripe, charge, &mut unheard, report).await? {
                seen.insert(paid.stripe_id);
            }
        }
        let ours = recent(self, now).await?;
        report.count("payments", ours.len());
        for paid in ours.into_iter().filter(|it| !seen.contains(&it.stripe_id)) {
            if !is_known(stripe, &paid.stripe_id).await? {
                report.found(Finding {
                    kind: "payment_unknown_at_stripe".to_owned(),
                    object: paid.stripe_id,
                    org_id: Some(paid.org),
                    detail: format!("we have {} {}", paid.amount, paid.currency),
                    repaired: false,
                });
            }
        }
        Ok(unheard)
    }

    async fn compare_charge(
        &self,
        stripe: &Stripe,
        charge: &Charge,
        unheard: &mut Vec<Customer>,
        report: &mut Report,
    ) -> Result<Option<Paid>> {
        let (Some(customer), Some(intent)) = (&charge.customer, &charge.payment_intent) else {
            return Ok(None);
        };
        let Some(customer) = Customer::find(self.db.pool(), customer).await? else {
            return Ok(None); // The account may serve other products.
        };
        let known = Paid::find(self.db.pool(), intent).await?;
        let was_known = match &known {
            Some(_) => true,
            // That of an invoice may be known by the invoice only.
            None => match stripe.invoice_of(intent).await? {
                Some(invoice) => Paid::find(self.db.pool(), &invoice).await?.is_some(),
                None => false,
            },
        };
        let paid = self.paid(stripe, intent).await?;
        if !was_known {
            report.found(Finding {
                kind: "payment_missing".to_owned(),
                object: charge.id.clone(),
                org_id: Some(customer.org),
                detail: format!("{intent} was paid"),
                repaired: paid.is_some(),
            });
            unheard.push(customer);
        }
        if let (Some(paid), Some(transaction)) = (&paid, &charge.balance_transaction) {
            let mut db = self.db.pool().acquire().await?;
            fee(&mut db, paid, transaction, self.clock.now()).await?;
        }
        Ok(paid)
    }
}

/// The payments that we learned of in the window, but not just now.
async fn recent(billing: &Billing, now: DateTime<Utc>) -> sqlx::Result<Vec<Paid>> {
    sqlx::query_as!(
        Paid,
        r#"select id as "id: _", org_id as "org: _", stripe_id, payment_intent_id as intent,
                  amount_cents as amount, currency
           from payments
           where created_at between $1 and $2 and amount_cents > 0"#,
        now - WINDOW,
        now - IN_FLIGHT,
    )
    .fetch_all(billing.db.pool())
    .await
}

/// Whether Stripe has the object, whose charge may be older than the window.
async fn is_known(stripe: &Stripe, id: &str) -> Result<bool> {
    let found = match id.split_once('_') {
        Some(("in", _)) => stripe.bill(id).await.map(|_| ()),
        Some(("pi", _)) => stripe.exists(&format!("/payment_intents/{id}")).await,
        _ => return Ok(true),
    };
    match found {
        Ok(()) => Ok(true),
        Err(Failure::Refused { status: 404, .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
