use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id, User};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

use super::claims::Claims;

/// An account elsewhere that somebody signs in with.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LinkedIdentity)]
pub(crate) struct Identity {
    #[schema(value_type = String, format = Uuid)]
    pub(super) id: Id<Identity>,
    /// Whose account it is.
    #[schema(example = "google")]
    provider: String,
    /// The address it had when it was linked.
    email: Option<EmailAddress>,
    created_at: DateTime<Utc>,
    last_used_at: DateTime<Utc>,
}

impl Identity {
    /// Whose account it is here, noting its use.
    pub(super) async fn holder(
        db: &mut PgConnection,
        issuer: &str,
        subject: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Id<User>>> {
        sqlx::query_scalar!(
            r#"update identities set last_used_at = $3 where issuer = $1 and subject = $2
               returning user_id as "user: _""#,
            issuer,
            subject,
            now,
        )
        .fetch_optional(db)
        .await
    }

    /// `false` if it is somebody's already.
    pub(super) async fn link(
        db: &mut PgConnection,
        user: Id<User>,
        provider: &str,
        issuer: &str,
        claims: &Claims,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        let linked = sqlx::query!(
            "insert into identities
                 (id, user_id, provider, issuer, subject, email, created_at, last_used_at)
             values ($1, $2, $3, $4, $5, $6, $7, $7)
             on conflict (issuer, subject) do nothing",
            Id::<Self>::new() as _,
            user as _,
            provider,
            issuer,
            claims.subject,
            claims.verified_email.as_ref().map(EmailAddress::as_str),
            now,
        );
        Ok(linked.execute(db).await?.rows_affected() == 1)
    }

    pub(crate) async fn list(db: impl PgExecutor<'_>, user: Id<User>) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", provider, email as "email: _", created_at, last_used_at
               from identities where user_id = $1 order by created_at, id"#,
            user as _,
        )
        .fetch_all(db)
        .await
    }

    pub(super) async fn unlink(
        db: &mut PgConnection,
        user: Id<User>,
        id: Id<Self>,
    ) -> sqlx::Result<bool> {
        let unlinked = sqlx::query!(
            "delete from identities where id = $1 and user_id = $2",
            id as _,
            user as _,
        );
        Ok(unlinked.execute(db).await?.rows_affected() == 1)
    }

    /// Whoever linked them may not have been the owner.
    pub(crate) async fn unlink_all(db: impl PgExecutor<'_>, user: Id<User>) -> sqlx::Result<()> {
        sqlx::query!("delete from identities where user_id = $1", user as _).execute(db).await?;
        Ok(())
    }
}
