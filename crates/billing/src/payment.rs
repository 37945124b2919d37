use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use quotas::{MoneyAccount, MoneyEntry};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use utoipa::{IntoParams, ToSchema};
use web::{Page, PageQuery};

use crate::{Checkout, webhook_events::InvoicePaid};

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
    /// How it stands.
    pub status: PaymentStatus,
    /// How much of it went back, by refunds and disputes.
    pub returned_cents: i64,
    /// When we learned of it.
    pub created_at: DateTime<Utc>,
}

/// How a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum PaymentStatus {
    /// It is ours.
    Paid,
    /// A part of it was given back.
    PartlyRefunded,
    /// All of it was.
    Refunded,
    /// The customer's bank took it back, for the time being or for good.
    Disputed,
}

/// Which payments to show, the newest first; what is absent does not matter.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PaymentQuery {
    /// Items per page.
    #[serde(default = "PaymentQuery::default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u16,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only those that stand so.
    #[param(inline)]
    status: Option<PaymentStatus>,
    /// Only those for this item, such as `pack-100` or `plan-pro-month`.
    item: Option<String>,
    /// Only those from then on.
    from: Option<DateTime<Utc>>,
    /// Only those before then.
    to: Option<DateTime<Utc>>,
}

impl PaymentQuery {
    fn default_limit() -> u16 {
        20
    }

    fn page(&self) -> PageQuery {
        PageQuery { limit: self.limit, cursor: self.cursor.clone() }
    }
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
    /// Records and books it; false if it is recorded already.
    pub(crate) async fn record(
        &self,
        db: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        let payment_id = Id::<Payment>::new();
        let recorded = sqlx::query!(
            "insert into payments
                 (id, org_id, checkout_id, stripe_id, amount_cents, currency, created_at, payment_intent_id)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict on constraint payment_recorded_once do nothing",
            payment_id as _,
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
            self.entry().book(&mut *db, now).await?;
            let (amount_cents, currency) = (self.amount_cents, self.currency.to_owned());
            let event = InvoicePaid { payment_id, amount_cents, currency };
            webhooks::emit(db, self.org, &event, now).await?;
        }
        Ok(recorded.rows_affected() == 1)
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
        query: &PaymentQuery,
    ) -> web::Result<Page<Self>> {
        let page = query.page();
        let rows = sqlx::query_as!(
            Self,
            r#"select payment.id as "id: _", item, amount_cents, currency, it.status as "status!: _",
                      returned_cents, payment.created_at
               from payments payment
               join checkouts checkout on checkout.id = payment.checkout_id
               cross join lateral (
                   select case when exists (
                                   select from disputes
                                   where payment_id = payment.id
                                     and disputes.status in ('needs_response', 'under_review', 'lost'))
                                   then 'disputed'
                               when returned_cents > 0 and returned_cents < amount_cents then 'partly_refunded'
                               when returned_cents > 0 then 'refunded'
                               else 'paid' end as status) it
               where payment.org_id = $1 and ($2::uuid is null or payment.id < $2)
                 and ($4::text is null or it.status = $4)
                 and ($5::text is null or item = $5)
                 and ($6::timestamptz is null or payment.created_at >= $6)
                 and ($7::timestamptz is null or payment.created_at < $7)
               order by payment.id desc
               limit $3"#,
            org as _,
            page.after::<Self>()?.map(Id::uuid),
            page.rows()?,
            query.status as _,
            query.item,
            query.from,
            query.to,
        )
        .fetch_all(db)
        .await?;
        Ok(Page::new(&page, rows, |payment| payment.id))
    }
}
