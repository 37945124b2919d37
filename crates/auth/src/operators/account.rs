use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id};
use sqlx::{PgConnection, PgExecutor};
use web::Operator;

use crate::{Keys, mfa::totp::Authenticator};

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

    /// Uses up a time-based code. Each works once, and none that is older than the last one used.
    pub(crate) async fn use_code(
        &self,
        db: &mut PgConnection,
        keys: &Keys,
        product: &str,
        code: &str,
        now: DateTime<Utc>,
    ) -> anyhow::Result<bool> {
        let Some(stored) = &self.totp_secret else { return Ok(false) };
        let authenticator =
            Authenticator::open(keys, self.id.uuid(), stored, product, &self.email)?;
        let Some(step) = authenticator.step_of(code, now)? else { return Ok(false) };
        Ok(step > self.totp_last_step && advance(db, self.id, step).await?)
    }
}

async fn advance(db: &mut PgConnection, id: Id<Operator>, step: i64) -> sqlx::Result<bool> {
    let advanced = sqlx::query!(
        "update operators set totp_last_step = $2 where id = $1 and totp_last_step < $2",
        id as _,
        step,
    );
    Ok(advanced.execute(db).await?.rows_affected() == 1)
}
