use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

use super::Ticket;

/// What was written in a ticket.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TicketMessage)]
pub(crate) struct Message {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) id: Id<Message>,
    /// Who wrote it.
    pub(crate) source: Source,
    /// What they wrote.
    pub(crate) text: String,
    /// When.
    pub(crate) created_at: DateTime<Utc>,
}

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = TicketMessageSource)]
pub(crate) enum Source {
    /// Its author.
    Customer,
    /// One of those who run the product.
    Operator,
}

impl Message {
    pub(crate) async fn insert(
        &self,
        db: &mut PgConnection,
        org: Id<Org>,
        ticket: Id<Ticket>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into ticket_messages (id, org_id, ticket_id, source, text, created_at)
             values ($1, $2, $3, $4, $5, $6)",
            self.id as _,
            org as _,
            ticket as _,
            self.source as _,
            self.text,
            self.created_at,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        ticket: Id<Ticket>,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", source as "source: _", text, created_at
               from ticket_messages
               where ticket_id = $1
               order by id
               limit 1000"#,
            ticket as _,
        )
        .fetch_all(db)
        .await
    }
}
