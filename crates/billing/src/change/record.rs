use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Id, Org, User};
use sqlx::{PgConnection, types::Json};

use super::ChangeInput;

/// A change that was asked for. Its id is Stripe's idempotency key.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) id: Id<Change>,
    target: Json<ChangeInput>,
    created_at: DateTime<Utc>,
}

/// How long the same key is used to ask for the same again. Stripe repeats its answer to a known key.
const KEY_LIFE: TimeDelta = TimeDelta::minutes(30);

impl Change {
    /// The open change of `org` to `target`, stored if there is none; `None`: another one is open,
    /// whose outcome decides. Without a user it is the product that asks.
    pub(super) async fn open(
        db: &mut PgConnection,
        org: Id<Org>,
        user: Option<Id<User>>,
        target: &ChangeInput,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Self>> {
        let open = sqlx::query_as!(
            Self,
            r#"select id as "id: _", target as "target: _", created_at
               from subscription_changes
               where org_id = $1 and status = 'open'"#,
            org as _,
        );
        match open.fetch_optional(&mut *db).await? {
            Some(open) if now >= open.created_at + KEY_LIFE => open.close(db, "refused").await?,
            Some(open) if open.target.0 == *target => return Ok(Some(open)),
            Some(_) => return Ok(None),
            None => {}
        }
        let change = Self { id: Id::new(), target: Json(target.clone()), created_at: now };
        let stored = sqlx::query!(
            "insert into subscription_changes (id, org_id, user_id, target, status, created_at)
             values ($1, $2, $3, $4, 'open', $5)
             on conflict do nothing",
            change.id as _,
            org as _,
            user as _,
            change.target as _,
            now,
        );
        let stored = stored.execute(db).await?.rows_affected() == 1;
        Ok(stored.then_some(change))
    }

    /// Notes what became of it: `done` or `refused`.
    pub(super) async fn close(
        &self,
        db: &mut PgConnection,
        status: &'static str,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update subscription_changes set status = $2 where id = $1 and status = 'open'",
            self.id as _,
            status,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
