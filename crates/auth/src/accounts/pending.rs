use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id};
use sqlx::{PgConnection, PgExecutor};

use crate::{lifetimes, secrets::secret, sign_up::InviteCode};

/// Wrong passwords that may be tried with one link.
const TRIES: i32 = 5;

/// What somebody registered with, bound to the link that was mailed: whoever confirms the address
/// has typed the password when they registered, or chooses another now, and confirms no other.
pub(crate) struct Pending {
    pub(crate) email: EmailAddress,
    pub(crate) name: String,
    pub(crate) password_hash: String,
    pub(crate) invite_code: Option<Id<InviteCode>>,
}

impl Pending {
    /// Keeps it until it gets a [link](Self::begin), and answers what it is called until then; `None` if the
    /// address was registered a moment ago.
    pub(crate) async fn insert(
        &self,
        db: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<[u8; 32]>> {
        // Registrations of one address wait for each other, so that the pause holds.
        sqlx::query("select pg_advisory_xact_lock(hashtextextended('registration ' || $1, 0))")
            .bind(&self.email)
            .execute(&mut *db)
            .await?;
        // A link that nobody has.
        let hash = secret::hash(&secret::random());
        let inserted = sqlx::query!(
            "insert into registrations
                 (hash, email, name, password_hash, invite_code, created_at, expires_at)
             select $1, $2, $3, $4, $5, $6, $7
             where not exists (select from registrations where email = $2 and created_at > $8)",
            &hash,
            &self.email as _,
            self.name,
            self.password_hash,
            self.invite_code as _,
            now,
            now + lifetimes::REGISTRATION,
            now - lifetimes::REGISTRATION_PAUSE,
        )
        .execute(db)
        .await?;
        Ok((inserted.rows_affected() == 1).then_some(hash))
    }

    /// Whose registration has no link yet and is called `hash`.
    pub(crate) async fn address(
        db: impl PgExecutor<'_>,
        hash: &[u8; 32],
    ) -> sqlx::Result<Option<EmailAddress>> {
        sqlx::query_scalar!(
            r#"select email as "email: EmailAddress" from registrations where hash = $1"#,
            hash,
        )
        .fetch_optional(db)
        .await
    }

    /// Gives a registration its first link, once: the secret of it.
    pub(crate) async fn begin(
        db: &mut PgConnection,
        hash: &[u8; 32],
    ) -> sqlx::Result<Option<String>> {
        let token = secret::random();
        let begun = sqlx::query!(
            "update registrations set hash = $2 where hash = $1",
            hash,
            &secret::hash(&token),
        )
        .execute(db)
        .await?;
        Ok((begun.rows_affected() == 1).then_some(token))
    }

    /// Gives the newest registration of `email` another link; the earlier one stops working.
    pub(crate) async fn renew(
        db: &mut PgConnection,
        email: &EmailAddress,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<String>> {
        let token = secret::random();
        let renewed = sqlx::query!(
            "update registrations set hash = $2, tries = 0, expires_at = $4
             where hash = (select hash from registrations where email = $1 and expires_at > $3
                           order by created_at desc limit 1)",
            email as _,
            &secret::hash(&token),
            now,
            now + lifetimes::REGISTRATION,
        )
        .execute(db)
        .await?;
        Ok((renewed.rows_affected() == 1).then_some(token))
    }

    /// What the link with `token` was mailed for.
    pub(crate) async fn find(
        db: impl PgExecutor<'_>,
        token: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select email as "email: _", name, password_hash, invite_code as "invite_code: _"
               from registrations where hash = $1 and expires_at > $2"#,
            &secret::hash(token),
            now,
        )
        .fetch_optional(db)
        .await
    }

    /// What the link with `token` was mailed for, counting one attempt at its password.
    pub(crate) async fn attempt(
        db: impl PgExecutor<'_>,
        token: &str,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"update registrations set tries = tries + 1
               where hash = $1 and expires_at > $2 and tries < $3
               returning email as "email: _", name, password_hash, invite_code as "invite_code: _""#,
            &secret::hash(token),
            now,
            TRIES,
        )
        .fetch_optional(db)
        .await
    }

    /// Uses the link up; of two at once, one succeeds.
    pub(crate) async fn consume(db: &mut PgConnection, token: &str) -> sqlx::Result<bool> {
        let hash = secret::hash(token);
        let used = sqlx::query!("delete from registrations where hash = $1", &hash);
        Ok(used.execute(db).await?.rows_affected() == 1)
    }

    /// Voids whatever was registered for `email`.
    pub(crate) async fn void_all(db: &mut PgConnection, email: &EmailAddress) -> sqlx::Result<()> {
        sqlx::query!("delete from registrations where email = $1", email as _).execute(db).await?;
        Ok(())
    }
}
