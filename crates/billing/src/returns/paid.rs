use kernel::{Id, Org};
use sqlx::{PgConnection, PgExecutor};

use crate::{Billing, Payment, Result, stripe::Stripe};

/// A payment of ours, to be returned in part or whole.
#[derive(Clone, Debug)]
pub(crate) struct Paid {
    pub(crate) id: Id<Payment>,
    pub(crate) org: Id<Org>,
    /// The payment intent of a pack, or the invoice of a plan.
    pub(crate) stripe_id: String,
    /// The payment intent, once known.
    pub(crate) intent: Option<String>,
    /// In the smallest unit of the currency.
    pub(crate) amount: i64,
    pub(crate) currency: String,
}

impl Paid {
    /// A payment by our id.
    pub(crate) async fn get(
        db: impl PgExecutor<'_>,
        id: Id<Payment>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", org_id as "org: _", stripe_id, payment_intent_id as intent,
                      amount_cents as amount, currency
               from payments
               where id = $1"#,
            id as _,
        )
        .fetch_optional(db)
        .await
    }

    /// A payment by its payment intent or invoice.
    pub(crate) async fn find(db: impl PgExecutor<'_>, id: &str) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", org_id as "org: _", stripe_id, payment_intent_id as intent,
                      amount_cents as amount, currency
               from payments
               where stripe_id = $1 or payment_intent_id = $1"#,
            id,
        )
        .fetch_optional(db)
        .await
    }

    pub(crate) fn is_invoice(&self) -> bool {
        self.stripe_id.starts_with("in_")
    }

    /// Keeps others from returning it at the same time.
    pub(crate) async fn lock(&self, db: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query!("select from payments where id = $1 for no key update", self.id as _)
            .execute(db)
            .await?;
        Ok(())
    }

    /// Adds up what went back, and keeps it. More than was paid counts as all of it: a payment can
    /// be refunded and disputed.
    pub(super) async fn sum_up(&self, db: &mut PgConnection) -> sqlx::Result<i64> {
        sqlx::query_scalar!(
            "update payments p
             set returned_cents = least(p.amount_cents, (
                 select coalesce(sum(amount_cents), 0)::bigint
                 from (select amount_cents from refunds
                       where payment_id = p.id and status in ('pending', 'requires_action', 'succeeded')
                       union all
                       select amount_cents from disputes
                       where payment_id = p.id and status in ('needs_response', 'under_review', 'lost')) it))
             where id = $1
             returning returned_cents",
            self.id as _,
        )
        .fetch_one(db)
        .await
    }

    /// What refunds have not given back yet, those included that were only asked for.
    pub(super) async fn left(&self, db: &mut PgConnection) -> sqlx::Result<i64> {
        let refunded = sqlx::query_scalar!(
            r#"select coalesce(sum(amount_cents), 0)::bigint as "amount!"
               from refunds
               where payment_id = $1 and status not in ('failed', 'canceled')"#,
            self.id as _,
        )
        .fetch_one(db)
        .await?;
        Ok(self.amount - refunded)
    }

    async fn note_intent(&self, db: impl PgExecutor<'_>, intent: &str) -> sqlx::Result<()> {
        sqlx::query!(
            "update payments set payment_intent_id = $2 where id = $1 and payment_intent_id is null",
            self.id as _,
            intent,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

impl Billing {
    /// The payment of ours that `intent` made. If we have not heard of it, it is taken over first;
    /// `None`: it is not for anything we sold.
    pub(crate) async fn paid(&self, stripe: &Stripe, intent: &str) -> Result<Option<Paid>> {
        if let Some(known) = Paid::find(self.db.pool(), intent).await? {
            return Ok(Some(known));
        }
        if let Some(session) = stripe.session_of(intent).await? {
            self.apply_session(stripe, &session).await?;
            if let Some(known) = Paid::find(self.db.pool(), intent).await? {
                return Ok(Some(known));
            }
        }
        let Some(invoice) = stripe.invoice_of(intent).await? else { return Ok(None) };
        if Paid::find(self.db.pool(), &invoice).await?.is_none() {
            self.take_over_invoice(stripe, &invoice).await?;
        }
        let paid = Paid::find(self.db.pool(), &invoice).await?;
        if let Some(paid) = &paid {
            paid.note_intent(self.db.pool(), intent).await?;
        }
        Ok(paid)
    }

    /// The payment intent behind a payment of ours.
    pub(super) async fn intent(&self, stripe: &Stripe, paid: &Paid) -> Result<Option<String>> {
        if let Some(intent) = &paid.intent {
            return Ok(Some(intent.clone()));
        }
        if !paid.is_invoice() {
            return Ok(paid.stripe_id.starts_with("pi_").then(|| paid.stripe_id.clone()));
        }
        let intent = stripe.intent_for(&paid.stripe_id).await?;
        if let Some(intent) = &intent {
            paid.note_intent(self.db.pool(), intent).await?;
        }
        Ok(intent)
    }
}
