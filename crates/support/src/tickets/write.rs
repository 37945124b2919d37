use audit::{Entry, Origin};
use auth::Recipient;
use email::Notice;
use jobs::Enqueue;
use kernel::Id;
use rate_limit::Quota;
use serde::Deserialize;
use sqlx::{PgConnection, types::Json};
use utoipa::ToSchema;
use web::Caller;

use super::{
    Deliver, Ticket,
    failure::Failure,
    message::{Message, Source},
    ticket::{Status, Thread, Whose},
};
use crate::{
    Error, Result, Support, notifications::Told, text::checked, webhook_events::TicketAnswered,
};

/// What one person may write.
const MESSAGES: Quota = Quota::per_hour(30);
/// Characters of a message.
const LONGEST: usize = 10_000;

/// A ticket to be opened.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TicketInput {
    /// What it is about.
    #[schema(min_length = 1, max_length = 200, example = "An export does not end")]
    subject: String,
    /// What there is to say.
    #[schema(min_length = 1, max_length = 10_000)]
    text: String,
    /// `x-request-id` of the answer that it is about.
    #[schema(max_length = 128)]
    request_id: Option<String>,
}

impl Support {
    /// Opens a ticket, with what is needed to answer it.
    pub(crate) async fn open(&self, caller: &Caller, input: TicketInput) -> Result<Thread> {
        let subject = checked("/subject", &input.subject, 200)?;
        let request_id = input.request_id.filter(|it| !it.is_empty());
        if request_id.as_ref().is_some_and(|it| !is_request_id(it)) {
            let told = "must be what an answer's x-request-id said".to_owned();
            return Err(Error::Field("/request_id", told));
        }
        let message = self.customers(&input.text)?;
        self.limits.check("tickets", &caller.user.to_string(), MESSAGES).await?;
        let (org, user, now) = (caller.org, caller.user, self.clock.now());
        let mut tx = self.db.begin().await?;
        let plan = sqlx::query_scalar!("select plan from entitlements where org_id = $1", org as _);
        let ticket = Ticket {
            id: Id::new(),
            org_id: org,
            user_id: user,
            subject,
            status: Status::Open,
            plan: plan.fetch_optional(&mut *tx).await?.unwrap_or_default(),
            request_id,
            errors: Json(Failure::recent(&mut *tx, org, user, now).await?),
            created_at: now,
            updated_at: now,
        };
        ticket.insert(&mut tx).await?;
        self.take_in(&mut tx, &ticket, &message).await?;
        tx.commit().await?;
        Ok(Thread { ticket, messages: vec![message] })
    }

    /// Takes what its author has to add; a ticket that was closed is open again.
    pub(crate) async fn add(&self, caller: &Caller, id: Id<Ticket>, text: &str) -> Result<Message> {
        let message = self.customers(text)?;
        // It needs a connection, which nobody who holds one may wait for.
        self.limits.check("tickets", &caller.user.to_string(), MESSAGES).await?;
        let mut tx = self.db.begin().await?;
        let whose = Whose::Theirs(caller.org, caller.user);
        let mut ticket = Ticket::get(&mut *tx, whose, id).await?;
        ticket.set(&mut tx, Status::Open, self.clock.now()).await?;
        self.take_in(&mut tx, &ticket, &message).await?;
        tx.commit().await?;
        Ok(message)
    }

    /// Answers, and tells the author: by mail, in their feed, and their programs.
    pub(crate) async fn answer(
        &self,
        id: Id<Ticket>,
        text: &str,
        origin: &Origin,
    ) -> Result<Message> {
        let message = self.written(Source::Operator, text)?;
        let (mut tx, now) = (self.db.begin().await?, self.clock.now());
        let mut ticket = Ticket::get(&mut *tx, Whose::Everybodys, id).await?;
        ticket.set(&mut tx, Status::Answered, now).await?;
        message.insert(&mut tx, ticket.org_id, id).await?;
        let entry = Entry::new(origin, Some(ticket.org_id), "ticket.answered", id);
        entry.record(&mut tx, now).await?;
        webhooks::emit(&mut tx, ticket.org_id, &TicketAnswered { ticket_id: id }, now).await?;
        Told::ticket(&ticket).send(&mut tx, ticket.user_id, now).await?;
        if let Some(author) = Recipient::person(&mut *tx, ticket.user_id).await? {
            let mut paragraphs = vec!["your ticket was answered:".to_owned()];
            paragraphs.extend(message.text.lines().filter(|it| !it.is_empty()).map(str::to_owned));
            let subject = "An answer to your ticket";
            let mail = Notice { name: &author.name, subject, paragraphs: &paragraphs };
            self.mailer.queue(&mut tx, &author.email, author.user, &mail).await?;
        }
        tx.commit().await?;
        Ok(message)
    }

    /// Closes a ticket, or opens it again.
    pub(crate) async fn set(
        &self,
        whose: Whose,
        id: Id<Ticket>,
        status: Status,
        origin: &Origin,
    ) -> Result<Ticket> {
        let (mut tx, now) = (self.db.begin().await?, self.clock.now());
        let mut ticket = Ticket::get(&mut *tx, whose, id).await?;
        if status == Status::Answered {
            let told = "must be open or closed: an answer makes it answered".to_owned();
            return Err(Error::Field("/status", told));
        }
        ticket.set(&mut tx, status, now).await?;
        if matches!(whose, Whose::Everybodys) {
            let entry = Entry::new(origin, Some(ticket.org_id), "ticket.set", id);
            entry.after(serde_json::json!({ "status": status })).record(&mut tx, now).await?;
        }
        tx.commit().await?;
        Ok(ticket)
    }

    fn customers(&self, text: &str) -> Result<Message> {
        self.written(Source::Customer, text)
    }

    fn written(&self, source: Source, text: &str) -> Result<Message> {
        let text = checked("/text", text, LONGEST)?;
        Ok(Message { id: Id::new(), source, text, created_at: self.clock.now() })
    }

    /// Writes down what a customer wrote, and tells those who run the product. Their mail says where it is, since mails
    /// are kept, and whoever asked may want everything erased.
    async fn take_in(
        &self,
        db: &mut PgConnection,
        ticket: &Ticket,
        message: &Message,
    ) -> sqlx::Result<()> {
        message.insert(&mut *db, ticket.org_id, ticket.id).await?;
        let paragraphs = [
            format!("Somebody of an organization on the plan {} has written.", ticket.plan),
            format!("Read and answer it at /admin/v1/tickets/{}.", ticket.id),
        ];
        let mail =
            Notice { name: "", subject: "A customer asks for help", paragraphs: &paragraphs };
        for address in &self.config.support_emails {
            self.mailer.queue(&mut *db, address, None, &mail).await?;
        }
        if self.config.support_webhook_url.is_some() {
            Enqueue::new(&Deliver { message: message.id }).urgent().send(db).await?;
        }
        Ok(())
    }
}

fn is_request_id(text: &str) -> bool {
    text.len() <= 128 && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.".contains(&it))
}
