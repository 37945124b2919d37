use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id, Org};
use quotas::{GrantSource, NewGrant};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

use super::guard::invalid_invite_code;
use crate::{Result, secrets::secret};

/// Lets so many people register, and gives their orgs credits.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct InviteCode {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub(super) id: Id<InviteCode>,
    /// What it is for.
    note: String,
    /// Only for this address.
    email: Option<EmailAddress>,
    /// How often it can still be used.
    uses_left: i32,
    /// What each new org gets.
    credits: i64,
    created_at: DateTime<Utc>,
    /// When it stops working; absent: never by itself.
    expires_at: Option<DateTime<Utc>>,
}

/// What is kept of a code.
pub(crate) type CodeHash = [u8; 32];

/// What is kept of a code that somebody typed in.
pub(crate) fn hash_of(code: &str) -> CodeHash {
    secret::hash(code.trim())
}

/// A code to be made.
pub(super) struct NewInviteCode {
    pub(super) note: String,
    pub(super) email: Option<EmailAddress>,
    pub(super) uses: i32,
    pub(super) credits: i64,
    pub(super) expires_at: Option<DateTime<Utc>>,
}

impl NewInviteCode {
    /// Answers the code too, which cannot be had again.
    pub(super) async fn create(
        self,
        db: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> sqlx::Result<(InviteCode, String)> {
        let code = secret::random()[..16].to_owned();
        let id = Id::new();
        sqlx::query!(
            "insert into invite_codes
                 (id, hash, note, email, uses_left, credits, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
            id as _,
            &secret::hash(&code),
            self.note,
            self.email.as_ref().map(EmailAddress::as_str),
            self.uses,
            self.credits,
            now,
            self.expires_at,
        )
        .execute(db)
        .await?;
        let Self { note, email, uses: uses_left, credits, expires_at } = self;
        Ok((InviteCode { id, note, email, uses_left, credits, created_at: now, expires_at }, code))
    }
}

impl InviteCode {
    /// The code that `email` may register with.
    pub(super) async fn find(
        db: impl PgExecutor<'_>,
        code: &CodeHash,
        email: &EmailAddress,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Id<Self>>> {
        sqlx::query_scalar!(
            r#"select id as "id: _" from invite_codes
               where hash = $1 and uses_left > 0 and (expires_at is null or expires_at > $2)
                 and (email is null or email = $3)"#,
            code.as_slice(),
            now,
            email as _,
        )
        .fetch_optional(db)
        .await
    }

    /// Uses the code up for one more org, which gets its credits. Of two at once for its last use, one
    /// gets it.
    pub(crate) async fn redeem(
        db: &mut PgConnection,
        id: Id<Self>,
        org: Id<Org>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let credits = sqlx::query_scalar!(
            "update invite_codes set uses_left = uses_left - 1
             where id = $1 and uses_left > 0
             returning credits",
            id as _,
        )
        .fetch_optional(&mut *db)
        .await?;
        let amount = credits.ok_or_else(invalid_invite_code)?;
        if amount > 0 {
            let external_id = format!("invite:{org}");
            let source = GrantSource::Promo;
            NewGrant { org, source, amount, expires_at: None, external_id }.give(db, now).await?;
        }
        Ok(())
    }

    pub(super) async fn list(
        db: impl PgExecutor<'_>,
        after: Option<Id<Self>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", note, email as "email: _", uses_left, credits, created_at,
                      expires_at
               from invite_codes
               where $1::uuid is null or id < $1
               order by id desc
               limit $2"#,
            after as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    pub(super) async fn remove(db: &mut PgConnection, id: Id<Self>) -> sqlx::Result<bool> {
        let removed = sqlx::query!("delete from invite_codes where id = $1", id as _);
        Ok(removed.execute(db).await?.rows_affected() == 1)
    }
}
