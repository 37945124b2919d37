use chrono::{DateTime, Utc};
use kernel::{Id, Org, User};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor, types::Json};
use utoipa::ToSchema;

use super::{failure::Failure, message::Message};
use crate::{Error, Result};

/// What a customer asks for help with.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Ticket {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) id: Id<Ticket>,
    /// In which organization it was opened.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) org_id: Id<Org>,
    /// Who opened it.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) user_id: Id<User>,
    /// What it is about.
    pub(crate) subject: String,
    /// Who is to do something next.
    pub(crate) status: Status,
    /// The organization's plan when it was opened.
    pub(crate) plan: String,
    /// `x-request-id` of the answer that it is about, if it is about one.
    pub(crate) request_id: Option<String>,
    /// What had failed for its author shortly before, the newest first: ids and codes.
    #[schema(value_type = Vec<Failure>)]
    pub(crate) errors: Json<Vec<Failure>>,
    /// When it was opened.
    pub(crate) created_at: DateTime<Utc>,
    /// When something was last written or decided.
    pub(crate) updated_at: DateTime<Utc>,
}

/// A ticket with all that was written.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Thread {
    #[serde(flatten)]
    pub(crate) ticket: Ticket,
    /// In the order in which they were written.
    pub(crate) messages: Vec<Message>,
}

/// Who is to do something next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = TicketStatus)]
pub(crate) enum Status {
    /// Those who run the product.
    Open,
    /// Its author.
    Answered,
    /// Nobody.
    Closed,
}

/// Whose tickets are looked at: somebody's in an org, or everybody's.
#[derive(Clone, Copy)]
pub(crate) enum Whose {
    Theirs(Id<Org>, Id<User>),
    Everybodys,
}

impl Whose {
    fn ids(self) -> (Option<Id<Org>>, Option<Id<User>>) {
        match self {
            Self::Theirs(org, user) => (Some(org), Some(user)),
            Self::Everybodys => (None, None),
        }
    }
}

impl Ticket {
    pub(crate) async fn insert(&self, db: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into tickets
                 (id, org_id, user_id, subject, status, plan, request_id, errors, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)",
            self.id as _,
            self.org_id as _,
            self.user_id as _,
            self.subject,
            self.status as _,
            self.plan,
            self.request_id,
            &self.errors as _,
            self.created_at,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// The newest first.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        whose: Whose,
        status: Option<Status>,
        before: Option<Id<Self>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        let (org, user) = whose.ids();
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", org_id as "org_id: _", user_id as "user_id: _", subject,
                      status as "status: _", plan, request_id, errors as "errors: _", created_at, updated_at
               from tickets
               where ($1::uuid is null or org_id = $1) and ($2::uuid is null or user_id = $2)
                 and ($3::text is null or status = $3) and ($4::uuid is null or id < $4)
               order by id desc
               limit $5"#,
            org as _,
            user as _,
            status as _,
            before as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    pub(crate) async fn get(db: impl PgExecutor<'_>, whose: Whose, id: Id<Self>) -> Result<Self> {
        let (org, user) = whose.ids();
        let found = sqlx::query_as!(
            Self,
            r#"select id as "id: _", org_id as "org_id: _", user_id as "user_id: _", subject,
                      status as "status: _", plan, request_id, errors as "errors: _", created_at, updated_at
               from tickets
               where id = $1 and ($2::uuid is null or org_id = $2) and ($3::uuid is null or user_id = $3)"#,
            id as _,
            org as _,
            user as _,
        )
        .fetch_optional(db)
        .await?;
        found.ok_or(Error::NoSuchTicket)
    }

    pub(crate) async fn thread(self, db: impl PgExecutor<'_>) -> sqlx::Result<Thread> {
        Ok(Thread { messages: Message::list(db, self.id).await?, ticket: self })
    }

    pub(crate) async fn set(
        &mut self,
        db: &mut PgConnection,
        status: Status,
        now: DateTime<Utc>,
    ) -> Result<()> {
        (self.status, self.updated_at) = (status, now);
        let set = sqlx::query!(
            "update tickets set status = $2, updated_at = $3 where id = $1",
            self.id as _,
            status as _,
            now,
        );
        // It may have been erased since it was read.
        let found = set.execute(db).await?.rows_affected() == 1;
        if found { Ok(()) } else { Err(Error::NoSuchTicket) }
    }
}
