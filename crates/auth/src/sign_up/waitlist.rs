use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

/// Somebody who waits to be let in.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct WaitlistEntry {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub(super) id: Id<WaitlistEntry>,
    pub(super) email: EmailAddress,
    pub(super) created_at: DateTime<Utc>,
}

impl WaitlistEntry {
    /// Whoever is on it stays where they are.
    pub(super) async fn join(
        db: impl PgExecutor<'_>,
        email: &EmailAddress,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into waitlist_entries (id, email, created_at) values ($1, $2, $3)
             on conflict (email) do nothing",
            Id::<Self>::new() as _,
            email as _,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Those who wait, whoever came first first.
    pub(super) async fn waiting(
        db: impl PgExecutor<'_>,
        after: Option<Id<Self>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", email as "email: _", created_at from waitlist_entries
               where invited_at is null and ($1::uuid is null or id > $1)
               order by id
               limit $2"#,
            after as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    /// Takes somebody off the list; `None` if they are not on it.
    pub(super) async fn invite(
        db: &mut PgConnection,
        id: Id<Self>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<EmailAddress>> {
        sqlx::query_scalar!(
            r#"update waitlist_entries set invited_at = $2 where id = $1 and invited_at is null
               returning email as "email: _""#,
            id as _,
            now,
        )
        .fetch_optional(db)
        .await
    }
}
