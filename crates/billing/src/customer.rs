use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use sqlx::{PgConnection, PgExecutor};

/// An org as Stripe knows it.
#[derive(Clone, Debug)]
pub(crate) struct Customer {
    pub(crate) org: Id<Org>,
    /// `cus_…`.
    pub(crate) id: String,
    /// How often its state was taken over from Stripe.
    revision: i64,
}

impl Customer {
    /// The customer that `org` is at Stripe.
    pub(crate) async fn of(db: impl PgExecutor<'_>, org: Id<Org>) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select org_id as "org: _", customer_id as id, revision
               from stripe_customers
               where org_id = $1"#,
            org as _,
        )
        .fetch_optional(db)
        .await
    }

    /// The org behind a customer of Stripe's: the only place where this is looked up.
    pub(crate) async fn find(db: impl PgExecutor<'_>, id: &str) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select org_id as "org: _", customer_id as id, revision
               from stripe_customers
               where customer_id = $1"#,
            id,
        )
        .fetch_optional(db)
        .await
    }

    /// Notes who `org` is at Stripe, unless that is known already.
    pub(crate) async fn note(
        db: &mut PgConnection,
        org: Id<Org>,
        id: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into stripe_customers (org_id, customer_id, created_at)
             values ($1, $2, $3)
             on conflict (org_id) do nothing",
            org as _,
            id,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Claims to hold the customer's newest state; false if others took one over since `self` was
    /// read. The row stays locked until the transaction ends.
    pub(crate) async fn claim(&self, db: &mut PgConnection) -> sqlx::Result<bool> {
        let claimed = sqlx::query!(
            "update stripe_customers
             set revision = revision + 1
             where customer_id = $1 and revision = $2",
            self.id,
            self.revision,
        )
        .execute(db)
        .await?;
        Ok(claimed.rows_affected() == 1)
    }
}

#[cfg(test)]
mod tests {
    use kernel::{Clock, Id, Org};
    use testing::Database;

    use super::Customer;

    #[tokio::test]
    async fn of_two_who_fetched_the_same_state_one_must_fetch_it_again() {
        let database = Database::new().await;
        let (org, now) = (Id::<Org>::new(), Clock::System.now());
        let mut tx = database.pool.begin().await.unwrap();
        sqlx::query("insert into orgs (id, name, created_at) values ($1, 'x', $2)")
            .bind(org)
            .bind(now)
            .execute(&mut *tx)
            .await
            .unwrap();
        Customer::note(&mut tx, org, "cus_1", now).await.unwrap();
        Customer::note(&mut tx, org, "cus_2", now).await.unwrap();
        tx.commit().await.unwrap();

        let one = Customer::find(&database.pool, "cus_1").await.unwrap().unwrap();
        let other = Customer::of(&database.pool, org).await.unwrap().unwrap();
        let claim = async |customer: Customer| {
            let mut tx = database.pool.begin().await.unwrap();
            let claimed = customer.claim(&mut tx).await.unwrap();
            tx.commit().await.unwrap();
            claimed
        };
        let (first, second) = tokio::join!(claim(one), claim(other));
        assert!(first != second, "both took their state for the newest");

        let again = Customer::find(&database.pool, "cus_1").await.unwrap().unwrap();
        assert!(claim(again).await);
    }
}
