use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use quotas::{MoneyAccount, MoneyEntry};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use web::{Page, PageQuery};

use crate::Checkout;

/// Money that arrived.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Payment {
    /// Its id.
    pub id: Id<Payment>,
    /// What for.
    #[schema(example = "pack-100")]
    pub item: String,
    /// How much, in the smallest unit of the currency.
    pub amount_cents: i64,
    /// ISO 4217, in small letters.
    #[schema(example = "usd")]
    pub currency: String,
    /// When we learned of it.
    pub created_at: DateTime<Utc>,
}

/// Money that Stripe says has arrived.
#[derive(Debug)]
pub(crate) struct NewPayment<'a> {
    pub(crate) org: Id<Org>,
    pub(crate) checkout: Id<Checkout>,
    /// The payment intent or invoice: whatever the event that told us, it is paid once.
    pub(crate) stripe_id: &'a str,
    pub(crate) amount_cents: i64,
    pub(crate) currency: &'a str,
}

impl NewPayment<'_> {
    /// Records and books it, unless it is recorded.
    pub(crate) async fn record(
        &self,
        db: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let recorded = sqlx::query!(
            "insert into payments
                 (id, org_id, checkout_id, stripe_id, amount_cents, currency, created_at, payment_intent_id)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict on constraint payment_recorded_once do nothing",
            Id::<Payment>::new() as _,
            self.org as _,
            self.checkout as _,
            self.stripe_id,
            self.amount_cents,
            self.currency,
            now,
            self.stripe_id.starts_with("pi_").then_some(self.stripe_id),
        )
        .execute(&mut *db)
        .await?;
        if recorded.rows_affected() == 1 {
            self.entry().book(db, now).await?;
        }
        Ok(())
    }

    fn entry(&self) -> MoneyEntry<'_> {
        MoneyEntry {
            org: self.org,
            from: MoneyAccount::Customer,
            to: MoneyAccount::Stripe,
            amount: self.amount_cents,
            currency: self.currency,
            external_id: format!("payment:{}", self.stripe_id),
        }
    }
}

impl Payment {
    /// The payments of `org`, the newest first.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        org: Id<Org>,
        query: &PageQuery,
    ) -> web::Result<Page<Self>> {
        let rows = sqlx::query_as!(
            Self,
            r#"select payment.id as "id: _", item, amount_cents, currency, payment.created_at
               from payments payment
               join checkouts checkout on checkout.id = payment.checkout_id
               where payment.org_id = $1 and ($2::uuid is null or payment.id < $2)
               order by payment.id desc
               limit $3"#,
            org as _,
            query.after::<Self>()?.map(Id::uuid),
            query.rows()?,
        )
        .fetch_all(db)
        .await?;
        Ok(Page::new(query, rows, |payment| payment.id))
    }
}
