use chrono::{DateTime, Utc};
use kernel::{Id, User};
use sqlx::PgConnection;

use crate::tickets::Ticket;

/// Something that one person is to be told.
pub(crate) struct Told<'a> {
    title: &'static str,
    text: &'a str,
    ticket: Id<Ticket>,
}

impl<'a> Told<'a> {
    /// That a ticket was answered.
    pub(crate) fn ticket(ticket: &'a Ticket) -> Self {
        Self { title: "Your ticket was answered", text: &ticket.subject, ticket: ticket.id }
    }

    /// Puts it into the feed of `user`, which is locked until the transaction ends.
    pub(crate) async fn send(
        self,
        db: &mut PgConnection,
        user: Id<User>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "with feed as (
                 insert into notification_feeds (user_id, last) values ($1, 1)
                 on conflict (user_id) do update set last = notification_feeds.last + 1
                 returning user_id, last)
             insert into notifications (user_id, number, kind, title, text, ticket_id, created_at)
             select user_id, last, 'ticket', $2, $3, $4, $5 from feed",
            user as _,
            self.title,
            self.text,
            self.ticket as _,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
