use kernel::{EmailAddress, Id};
use sqlx::{PgConnection, PgExecutor};
use web::Operator;

/// One of the people who run the product.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: Id<Operator>,
    pub(crate) email: EmailAddress,
    /// `None` until they have enrolled.
    pub(crate) password_hash: Option<String>,
    /// Sealed.
    pub(crate) totp_secret: Option<Vec<u8>>,
    pub(crate) totp_last_step: i64,
}

impl Account {
    pub(crate) async fn by_email(
        db: impl PgExecutor<'_>,
        email: &EmailAddress,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", email as "email: _", password_hash, totp_secret, totp_last_step
               from operators
               where lower(email) = $1 and disabled_at is null"#,
            email as _,
        )
        .fetch_optional(db)
        .await
    }

    pub(crate) async fn lock(
        db: &mut PgConnection,
        id: Id<Operator>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", email as "email: _", password_hash, totp_secret, totp_last_step
               from operators
               where id = $1 and disabled_at is null
               for update"#,
            id as _,
        )
        .fetch_optional(db)
        .await
    }
}
