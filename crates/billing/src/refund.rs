use chrono::{DateTime, Utc};
use kernel::Id;
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Payment, returns::Paid, stripe};

/// Money given back.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Refund {
    /// Its id, which is Stripe's idempotency key too.
    #[schema(value_type = String, format = Uuid)]
    pub id: Id<Refund>,
    /// Of which payment.
    #[schema(value_type = String, format = Uuid)]
    pub payment_id: Id<Payment>,
    /// `re_…`, once Stripe has answered.
    pub stripe_id: Option<String>,
    /// How much, in the smallest unit of the currency.
    pub amount_cents: i64,
    /// ISO 4217, in small letters.
    pub currency: String,
    /// `requested` until Stripe has answered, then Stripe's word for how it stands: `pending`,
    /// `requires_action`, `succeeded`, `failed` or `canceled`.
    pub status: String,
    /// Why, in the words of whoever asked for it.
    pub reason: Option<String>,
    /// Why it failed.
    pub failure: Option<String>,
    /// The operator who asked for it; absent if it was made in Stripe's dashboard.
    pub requested_by: Option<Uuid>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
}

/// Whether money of a refund in this state is gone: also while the customer is asked where to send it, after which it
/// goes on or comes back for good.
pub(crate) fn is_gone(status: &str) -> bool {
    matches!(status, "pending" | "requires_action" | "succeeded")
}

impl Refund {
    /// One of them.
    pub(crate) async fn get(db: impl PgExecutor<'_>, id: Id<Self>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", payment_id as "payment_id: _", stripe_id, amount_cents, currency,
                      status, reason, failure, requested_by, created_at
               from refunds
               where id = $1"#,
            id as _,
        )
        .fetch_optional(db)
        .await
    }

    /// The one that an operator asked for with this key.
    pub(crate) async fn requested(
        db: impl PgExecutor<'_>,
        operator: Option<Uuid>,
        key: &str,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", payment_id as "payment_id: _", stripe_id, amount_cents, currency,
                      status, reason, failure, requested_by, created_at
               from refunds
               where requested_by = $1 and request_key = $2"#,
            operator,
            key,
        )
        .fetch_optional(db)
        .await
    }

    /// Those of a payment, the first first.
    pub async fn of(db: impl PgExecutor<'_>, payment: Id<Payment>) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", payment_id as "payment_id: _", stripe_id, amount_cents, currency,
                      status, reason, failure, requested_by, created_at
               from refunds
               where payment_id = $1
               order by created_at, id"#,
            payment as _,
        )
        .fetch_all(db)
        .await
    }

    /// Writes down that Stripe will be asked.
    pub(crate) async fn insert(
        &self,
        db: &mut PgConnection,
        paid: &Paid,
        key: &str,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into refunds
                 (id, org_id, payment_id, amount_cents, currency, status, reason, requested_by,
                  request_key, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
            self.id as _,
            paid.org as _,
            self.payment_id as _,
            self.amount_cents,
            self.currency,
            self.status,
            self.reason,
            self.requested_by,
            key,
            self.created_at,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Stripe will not do it.
    pub(crate) async fn fail(
        db: &mut PgConnection,
        id: Id<Self>,
        why: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        let failed = sqlx::query!(
            "update refunds set status = 'failed', failure = $2, updated_at = $3
             where id = $1 and status = 'requested'",
            id as _,
            why,
            now,
        )
        .execute(db)
        .await?
        .rows_affected();
        Ok(failed == 1)
    }

    /// Takes over what Stripe says: of one that we asked for, or of one that we learn of.
    pub(crate) async fn save(
        db: &mut PgConnection,
        paid: &Paid,
        theirs: &stripe::Refund,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let ours = theirs.metadata.as_ref().and_then(|it| it.refund_id.as_deref());
        let ours: Option<Id<Self>> = ours.and_then(|id| id.parse().ok());
        let status = theirs.status.as_deref().unwrap_or("pending");
        let known = sqlx::query!(
            "update refunds
             set stripe_id = $3, amount_cents = $4, currency = $5, status = $6, failure = $7, updated_at = $8
             where payment_id = $1 and (stripe_id = $3 or (id = $2 and stripe_id is null))",
            paid.id as _,
            ours as _,
            theirs.id,
            theirs.amount,
            theirs.currency,
            status,
            theirs.failure_reason,
            now,
        )
        .execute(&mut *db)
        .await?
        .rows_affected();
        if known > 0 {
            return Ok(());
        }
        sqlx::query!(
            "insert into refunds
                 (id, org_id, payment_id, stripe_id, amount_cents, currency, status, failure,
                  created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
            Id::<Self>::new() as _,
            paid.org as _,
            paid.id as _,
            theirs.id,
            theirs.amount,
            theirs.currency,
            status,
            theirs.failure_reason,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
