use chrono::{DateTime, Utc};
use kernel::Id;
use sqlx::PgConnection;

use crate::{returns::Paid, stripe};

/// Money that a customer's bank took back, for the time being or for good.
#[derive(Clone, Debug)]
pub(crate) struct Dispute;

/// Whether the money of a dispute in this state is not with us. Inquiries, whose states begin with
/// `warning_`, move none.
pub(crate) fn is_gone(status: &str) -> bool {
    is_open(status) || status == "lost"
}

/// Whether it is undecided and the money withdrawn.
pub(crate) fn is_open(status: &str) -> bool {
    matches!(status, "needs_response" | "under_review")
}

impl Dispute {
    /// Takes over what Stripe says.
    pub(crate) async fn save(
        db: &mut PgConnection,
        paid: &Paid,
        theirs: &stripe::Dispute,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into disputes
                 (id, org_id, payment_id, stripe_id, amount_cents, currency, status, reason,
                  created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
             on conflict (stripe_id) do update set
                 amount_cents = excluded.amount_cents, status = excluded.status,
                 reason = excluded.reason, updated_at = excluded.updated_at",
            Id::<Self>::new() as _,
            paid.org as _,
            paid.id as _,
            theirs.id,
            theirs.amount,
            theirs.currency,
            theirs.status,
            theirs.reason,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
