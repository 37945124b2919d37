use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id};
use sqlx::{PgConnection, PgExecutor};
use web::Problem;

/// A person's account.
pub(crate) struct User {
    pub(crate) id: Id<kernel::User>,
    pub(crate) email: EmailAddress,
    pub(crate) name: String,
    /// `None` for those who sign in with links or through somebody else only.
    pub(crate) password_hash: Option<String>,
    pub(crate) email_verified_at: Option<DateTime<Utc>>,
    pub(crate) disabled_at: Option<DateTime<Utc>>,
}

/// What somebody is called: one line of at most a hundred characters.
#[derive(Clone, Debug)]
pub struct Name(String);

impl Name {
    /// Trims `text`, and refuses what is empty, too long or not one line.
    pub fn new(text: &str) -> web::Result<Self> {
        let text = text.trim();
        let fits = (1..=100).contains(&text.chars().count());
        if fits && !text.contains(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Problem::invalid_field("/name", "must be one line of 1 to 100 characters"))
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl User {
    /// Makes the account of somebody who has shown that the address is theirs; `None` if it has one.
    pub(crate) async fn insert(
        db: &mut PgConnection,
        email: &EmailAddress,
        name: &str,
        password_hash: Option<&str>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Id<kernel::User>>> {
        sqlx::query_scalar!(
            r#"insert into users (id, email, name, password_hash, created_at, email_verified_at)
               values ($1, $2, $3, $4, $5, $5)
               on conflict (lower(email)) do nothing
               returning id as "id: _""#,
            Id::<kernel::User>::new() as _,
            email as _,
            name,
            password_hash,
            now,
        )
        .fetch_optional(db)
        .await
    }

    pub(crate) async fn by_email(
        db: impl PgExecutor<'_>,
        email: &EmailAddress,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", email as "email: _", name, password_hash,
                      email_verified_at, disabled_at
               from users
               where lower(email) = $1"#,
            email as _,
        )
        .fetch_optional(db)
        .await
    }

    pub(crate) async fn get(
        db: impl PgExecutor<'_>,
        id: Id<kernel::User>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", email as "email: _", name, password_hash,
                      email_verified_at, disabled_at
               from users
               where id = $1"#,
            id as _,
        )
        .fetch_optional(db)
        .await
    }

    /// Like [`Self::get`], and holds the row until the transaction ends.
    pub(crate) async fn lock(
        db: &mut PgConnection,
        id: Id<kernel::User>,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", email as "email: _", name, password_hash,
                      email_verified_at, disabled_at
               from users
               where id = $1
               for update"#,
            id as _,
        )
        .fetch_optional(db)
        .await
    }

    pub(crate) async fn set_name(
        db: &mut PgConnection,
        id: Id<kernel::User>,
        name: &Name,
    ) -> sqlx::Result<()> {
        sqlx::query!("update users set name = $2 where id = $1", id as _, name.as_str())
            .execute(db)
            .await?;
        Ok(())
    }

    pub(crate) async fn set_password(
        db: &mut PgConnection,
        id: Id<kernel::User>,
        password_hash: &str,
    ) -> sqlx::Result<()> {
        sqlx::query!("update users set password_hash = $2 where id = $1", id as _, password_hash)
            .execute(db)
            .await?;
        Ok(())
    }

    /// From now on nobody signs in with a password, until one is chosen.
    pub(crate) async fn forget_password(
        db: &mut PgConnection,
        id: Id<kernel::User>,
    ) -> sqlx::Result<()> {
        sqlx::query!("update users set password_hash = null where id = $1", id as _)
            .execute(db)
            .await?;
        Ok(())
    }

    /// Exchanges the address; `false` if another account has it.
    pub(crate) async fn set_email(
        db: &mut PgConnection,
        id: Id<kernel::User>,
        email: &EmailAddress,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        let changed = sqlx::query!(
            "update users set email = $2, email_verified_at = $3
             where id = $1 and not exists (
                 select from users other where lower(other.email) = lower($2) and other.id <> $1)",
            id as _,
            email as _,
            now,
        )
        .execute(db)
        .await?;
        Ok(changed.rows_affected() == 1)
    }

    /// Notes that the address is theirs.
    pub(crate) async fn verify_email(
        db: &mut PgConnection,
        id: Id<kernel::User>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update users set email_verified_at = $2 where id = $1 and email_verified_at is null",
            id as _,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
