use chrono::{DateTime, Utc};
use kernel::{EmailAddress, Id, Org, User};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

use crate::{Error, Result};

/// Something that an outsider is asked to approve.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Approval {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub id: Id<Approval>,
    /// Who asks.
    #[schema(value_type = String, format = Uuid)]
    pub asked_by: Id<User>,
    /// Who is asked.
    pub email: EmailAddress,
    /// Their name.
    pub name: String,
    /// What is to be approved.
    pub title: String,
    /// What there is to know about it.
    pub description: String,
    /// How it stands.
    pub status: Status,
    /// What they had to say when they decided.
    pub comment: Option<String>,
    /// When they were asked.
    pub created_at: DateTime<Utc>,
    /// When the link stops working.
    pub expires_at: DateTime<Utc>,
    /// When they decided.
    pub decided_at: Option<DateTime<Utc>>,
}

/// How an approval stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = ApprovalStatus)]
pub enum Status {
    /// Nothing was decided, and nothing will be once it has expired.
    Pending,
    /// They said yes.
    Approved,
    /// They said no.
    Rejected,
    /// Whoever asked has thought better of it.
    Revoked,
}

impl Approval {
    pub(crate) async fn insert(
        &self,
        db: &mut PgConnection,
        org: Id<Org>,
        hash: &[u8],
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into approvals
                 (id, org_id, asked_by, email, name, title, description, hash, status, created_at,
                  expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', $9, $10)",
            self.id as _,
            org as _,
            self.asked_by as _,
            self.email.as_str(),
            self.name,
            self.title,
            self.description,
            hash,
            self.created_at,
            self.expires_at,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Those of the org whose transaction this is, the newest first.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        before: Option<Id<Self>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", asked_by as "asked_by: _", email as "email: _", name, title,
                      description, status as "status: _", comment, created_at, expires_at, decided_at
               from approvals where ($1::uuid is null or id < $1)
               order by id desc limit $2"#,
            before as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    /// One of the org whose transaction this is.
    pub(crate) async fn get(db: impl PgExecutor<'_>, id: Id<Self>) -> Result<Self> {
        let found = sqlx::query_as!(
            Self,
            r#"select id as "id: _", asked_by as "asked_by: _", email as "email: _", name, title,
                      description, status as "status: _", comment, created_at, expires_at, decided_at
               from approvals where id = $1"#,
            id as _,
        )
        .fetch_optional(db)
        .await?;
        found.ok_or(Error::NotFound)
    }

    /// The one that a link is for, and its org; nobody else decides until the transaction ends.
    pub(crate) async fn lock_by_link(
        db: &mut PgConnection,
        hash: &[u8],
    ) -> Result<(Self, Id<Org>)> {
        let found = sqlx::query!(
            r#"select id as "id: Id<Approval>", org_id as "org: Id<Org>" from approvals
               where hash = $1 for update"#,
            hash,
        )
        .fetch_optional(&mut *db)
        .await?;
        let found = found.ok_or(Error::InvalidLink)?;
        Ok((Self::get(db, found.id).await?, found.org))
    }

    /// Refuses what can no longer be decided.
    pub(crate) fn check_open(&self, now: DateTime<Utc>) -> Result<()> {
        match self.status {
            Status::Approved | Status::Rejected => Err(Error::Decided),
            Status::Pending if now < self.expires_at => Ok(()),
            Status::Pending | Status::Revoked => Err(Error::InvalidLink),
        }
    }

    /// Writes down how it ends.
    pub(crate) async fn end(
        &mut self,
        db: &mut PgConnection,
        status: Status,
        comment: Option<String>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.decided_at = (status != Status::Revoked).then_some(now);
        (self.status, self.comment) = (status, comment);
        let ended = sqlx::query!(
            "update approvals set status = $2, comment = $3, decided_at = $4
             where id = $1 and status = 'pending'",
            self.id as _,
            self.status as _,
            self.comment,
            self.decided_at,
        )
        .execute(db)
        .await?;
        if ended.rows_affected() == 1 { Ok(()) } else { Err(Error::NotOpen) }
    }
}
