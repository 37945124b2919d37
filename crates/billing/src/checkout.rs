use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Id, Org, User};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

use crate::{Coupon, coupons, stripe::Session};

/// A purchase in progress.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CheckoutSession)]
pub struct Checkout {
    /// Its id.
    pub id: Id<Checkout>,
    /// Who buys.
    #[serde(skip)]
    pub org: Id<Org>,
    /// What is bought.
    #[schema(example = "pack-100")]
    pub item: String,
    /// How far it is.
    pub status: CheckoutStatus,
    /// The page on which to pay.
    pub url: Option<String>,
    /// When that page stops accepting payments.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was started.
    pub created_at: DateTime<Utc>,
    /// `cs_…`, once Stripe has answered.
    #[serde(skip)]
    pub(crate) stripe_session_id: Option<String>,
    /// `price_…`: what is paid. Stored first, so that asking Stripe again is asking the same.
    #[serde(skip)]
    pub(crate) price_id: Option<String>,
    /// How many days pass before the first payment.
    #[serde(skip)]
    pub(crate) trial_days: i32,
    /// What makes it cheaper.
    #[serde(skip)]
    pub(crate) coupon_id: Option<Id<Coupon>>,
}

/// How far a purchase is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum CheckoutStatus {
    /// Waits for the payment.
    Open,
    /// Paid; what was bought is there.
    Paid,
    /// The buyer was done, but the money did not come.
    Failed,
    /// Given up or too late.
    Expired,
}

/// How long the same key is used to ask Stripe again for a session. Stripe repeats its answer to a
/// known key, a failure of its own included, so holding on to one for long would block the buyer.
const KEY_LIFE: TimeDelta = TimeDelta::minutes(30);

/// How long before a page expires we no longer send people to it.
const TIME_TO_PAY: TimeDelta = TimeDelta::minutes(30);

impl Checkout {
    pub(crate) fn new(
        org: Id<Org>,
        item: &str,
        price: &str,
        trial_days: i32,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id: Id::new(),
            org,
            item: item.to_owned(),
            status: CheckoutStatus::Open,
            url: None,
            expires_at: None,
            created_at: now,
            stripe_session_id: None,
            price_id: Some(price.to_owned()),
            trial_days,
            coupon_id: None,
        }
    }

    /// One checkout of `org`.
    pub(crate) async fn get(
        db: impl PgExecutor<'_>,
        org: Id<Org>,
        id: Id<Checkout>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", org_id as "org: _", item, status as "status: _", url,
                      expires_at, created_at, stripe_session_id, price_id, trial_days,
                      coupon_id as "coupon_id: _"
               from checkouts
               where org_id = $1 and id = $2"#,
            org as _,
            id as _,
        )
        .fetch_optional(db)
        .await
    }

    /// The open checkout beside which `item` cannot be bought: of the same item, or of any plan
    /// if it is a plan.
    pub(crate) async fn in_the_way(
        db: impl PgExecutor<'_>,
        org: Id<Org>,
        item: &str,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", org_id as "org: _", item, status as "status: _", url,
                      expires_at, created_at, stripe_session_id, price_id, trial_days,
                      coupon_id as "coupon_id: _"
               from checkouts
               where org_id = $1 and status = 'open'
                 and (item = $2 or (item like 'plan-%' and $2 like 'plan-%'))"#,
            org as _,
            item,
        )
        .fetch_optional(db)
        .await
    }

    /// Stores a new checkout; false if another one is in the way.
    pub(crate) async fn insert(&self, db: &mut PgConnection, user: Id<User>) -> sqlx::Result<bool> {
        let inserted = sqlx::query!(
            "insert into checkouts
                 (id, org_id, user_id, item, status, created_at, price_id, trial_days)
             values ($1, $2, $3, $4, 'open', $5, $6, $7)
             on conflict do nothing",
            self.id as _,
            self.org as _,
            user as _,
            self.item,
            self.created_at,
            self.price_id,
            self.trial_days,
        )
        .execute(db)
        .await?;
        Ok(inserted.rows_affected() == 1)
    }

    /// Notes what makes it cheaper.
    pub(crate) async fn discount(
        &mut self,
        db: &mut PgConnection,
        coupon: Id<Coupon>,
    ) -> sqlx::Result<()> {
        self.coupon_id = Some(coupon);
        sqlx::query!(
            "update checkouts set coupon_id = $2 where id = $1",
            self.id as _,
            coupon as _,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Whether who wants to buy `item` now, with this coupon or none, can be sent here.
    pub(crate) fn serves(
        &self,
        item: &str,
        coupon: Option<Id<Coupon>>,
        now: DateTime<Utc>,
    ) -> bool {
        let in_time = match self.expires_at {
            Some(at) => now < at - TIME_TO_PAY,
            None => now < self.created_at + KEY_LIFE,
        };
        let has_page = self.url.is_some() || self.stripe_session_id.is_none();
        let is_that = self.item == item && self.coupon_id == coupon && self.price_id.is_some();
        is_that && has_page && in_time
    }

    /// Notes the session that Stripe made for it. `false`: it was given up meanwhile for another
    /// purchase, and nobody may be sent to its page.
    pub(crate) async fn attach(
        &mut self,
        db: &mut PgConnection,
        session: Session,
    ) -> sqlx::Result<bool> {
        self.url = session.url;
        self.expires_at = DateTime::from_timestamp(session.expires_at, 0);
        self.stripe_session_id = Some(session.id);
        let noted = sqlx::query!(
            "update checkouts
             set stripe_session_id = $2, url = $3, expires_at = $4
             where id = $1 and status = 'open'",
            self.id as _,
            self.stripe_session_id,
            self.url,
            self.expires_at,
        )
        .execute(db)
        .await?;
        Ok(noted.rows_affected() == 1)
    }

    /// The checkout behind a session, locked until the transaction ends.
    ///
    /// If we never noted Stripe's answer it is found by the id that we gave Stripe.
    pub(crate) async fn lock(
        db: &mut PgConnection,
        session: &Session,
    ) -> sqlx::Result<Option<Self>> {
        let reference = session.client_reference_id.as_deref();
        let reference: Option<Id<Checkout>> = reference.and_then(|id| id.parse().ok());
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", org_id as "org: _", item, status as "status: _", url,
                      expires_at, created_at, stripe_session_id, price_id, trial_days,
                      coupon_id as "coupon_id: _"
               from checkouts
               where stripe_session_id = $1 or (id = $2 and stripe_session_id is null)
               for update"#,
            session.id,
            reference as _,
        )
        .fetch_optional(db)
        .await
    }

    /// Notes that nobody can be sent to its page any more: the buyer is done, and the money on its way.
    pub(crate) async fn close_page(&self, db: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query!("update checkouts set url = null where id = $1", self.id as _)
            .execute(db)
            .await?;
        Ok(())
    }

    /// Ends it one way or the other; what was paid stays paid. A coupon that was for it is given back
    /// unless it is paid, which takes the owner's connection.
    pub(crate) async fn close(
        &self,
        db: &mut PgConnection,
        status: CheckoutStatus,
    ) -> sqlx::Result<()> {
        let closed = sqlx::query!(
            "update checkouts set status = $2 where id = $1 and status <> 'paid'",
            self.id as _,
            status as _,
        )
        .execute(&mut *db)
        .await?;
        if status != CheckoutStatus::Paid && closed.rows_affected() == 1 && self.coupon_id.is_some()
        {
            coupons::release(db, self.id).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use kernel::{Id, Org, User};
    use testing::Database;

    use super::{Checkout, CheckoutStatus};

    #[test]
    fn a_second_click_is_sent_to_the_same_page_while_there_is_time_to_pay() {
        let start = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let after = |minutes| start + TimeDelta::minutes(minutes);
        let mut checkout = Checkout::new(Id::new(), "pack-10", "price_1", 0, start);
        assert!(checkout.serves("pack-10", None, after(29)));
        assert!(!checkout.serves("pack-10", None, after(30)), "a key is not used for ever");
        checkout.expires_at = Some(after(24 * 60));
        assert!(checkout.serves("pack-10", None, after(23 * 60)));
        assert!(!checkout.serves("pack-10", None, after(24 * 60 - 30)));
        assert!(!checkout.serves("pack-50", None, start));
    }

    #[tokio::test]
    async fn what_was_paid_stays_paid() {
        let database = Database::new().await;
        let mut tx = database.pool.begin().await.unwrap();
        let (org, user) = (Id::<Org>::new(), Id::<User>::new());
        let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        sqlx::query(
            "with org as (insert into orgs (id, name, created_at) values ($1, 'x', $3))
             insert into users (id, email, name, password_hash, created_at)
             values ($2, 'a@x.example', 'x', 'x', $3)",
        )
        .bind(org)
        .bind(user)
        .bind(now)
        .execute(&mut *tx)
        .await
        .unwrap();

        let checkout = || Checkout::new(org, "pack-10", "price_1", 0, now);
        let another = checkout();
        let checkout = checkout();
        assert!(checkout.insert(&mut tx, user).await.unwrap());
        assert!(!another.insert(&mut tx, user).await.unwrap());
        for status in [CheckoutStatus::Paid, CheckoutStatus::Expired] {
            checkout.close(&mut tx, status).await.unwrap();
            let stored = Checkout::get(&mut *tx, org, checkout.id).await.unwrap().unwrap();
            assert_eq!(stored.status, CheckoutStatus::Paid);
        }
        assert!(another.insert(&mut tx, user).await.unwrap());
    }
}
