use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use crate::catalogue::Listing;

/// A price at Stripe that we made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Price {
    /// `price_…`.
    pub(crate) id: String,
    /// What it is the price of: the name of an offer, or `seat-{plan}-{interval}`.
    pub(crate) item: String,
    /// In the smallest unit of `currency`.
    pub(crate) cents: i64,
    /// In small letters.
    pub(crate) currency: String,
}

impl Price {
    /// Whether it is that of a plan.
    pub(crate) fn is_plan(&self) -> bool {
        self.item.starts_with("plan-")
    }

    /// Whether it is that of a further seat.
    pub(crate) fn is_seat(&self) -> bool {
        self.item.starts_with("seat-")
    }

    /// Whether it is what `listing` says.
    pub(crate) fn is(&self, listing: &Listing) -> bool {
        self.cents == listing.cents && self.currency == listing.currency
    }

    /// Whether anything was ever for sale in another currency.
    pub(crate) async fn any_beside(
        db: impl PgExecutor<'_>,
        currency: &str,
    ) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar!(
            "select currency from stripe_prices where currency <> $1 limit 1",
            currency
        )
        .fetch_optional(db)
        .await
    }

    /// The one for sale.
    pub(crate) async fn for_sale(
        db: impl PgExecutor<'_>,
        item: &str,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            "select id, item, cents, currency from stripe_prices where item = $1 and active",
            item,
        )
        .fetch_optional(db)
        .await
    }

    /// What is sold at the price `id`, if it is one of ours.
    pub(crate) async fn find(db: impl PgExecutor<'_>, id: &str) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            "select id, item, cents, currency from stripe_prices where id = $1",
            id
        )
        .fetch_optional(db)
        .await
    }

    /// Notes that it is the one for sale now. The others of its item stay known.
    pub(crate) async fn note(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
        // Two who note at once wait for each other here, whether the item is known or not.
        sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 0))", self.item)
            .execute(&mut *db)
            .await?;
        Self::retire(&mut *db, &self.item).await?;
        sqlx::query!(
            "insert into stripe_prices (id, item, cents, currency, active, created_at)
             values ($1, $2, $3, $4, true, $5)
             on conflict (id) do update set active = true",
            self.id,
            self.item,
            self.cents,
            self.currency,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Notes that nothing is for sale under the name `item` any more.
    pub(crate) async fn retire(db: &mut PgConnection, item: &str) -> sqlx::Result<()> {
        sqlx::query!("update stripe_prices set active = false where item = $1 and active", item)
            .execute(db)
            .await?;
        Ok(())
    }

    /// Every price that `item` has or had.
    pub(crate) async fn ids_of(db: impl PgExecutor<'_>, item: &str) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar!("select id from stripe_prices where item = $1", item)
            .fetch_all(db)
            .await
    }

    /// What every price is the price of, by id.
    pub(crate) async fn names(db: impl PgExecutor<'_>) -> sqlx::Result<HashMap<String, String>> {
        let prices = sqlx::query!("select id, item from stripe_prices").fetch_all(db).await?;
        Ok(prices.into_iter().map(|price| (price.id, price.item)).collect())
    }

    /// The items that are for sale at Stripe, as far as we know.
    pub(crate) async fn items_for_sale(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar!("select item from stripe_prices where active order by item")
            .fetch_all(db)
            .await
    }
}
