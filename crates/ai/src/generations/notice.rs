use auth::Recipient;
use email::RenderComplete;
use kernel::{Id, User};
use sqlx::PgConnection;

use super::generation::{Generation, Task};
use crate::{Ai, batches::Batch};

/// Whom the end of a generation interests.
pub(crate) struct Asker {
    /// A person; a program that called with a key looks by itself, and a batch has an end of its own.
    user: Option<Id<User>>,
    operation: String,
    /// What it is a part of.
    pub(super) batch: Option<Id<Batch>>,
}

impl Asker {
    pub(crate) fn of(task: &Task) -> Self {
        let person = task.by.api_key.is_none() && task.batch.is_none();
        Self {
            user: person.then_some(task.by.user),
            operation: task.operation.clone(),
            batch: task.batch,
        }
    }
}

impl Ai {
    /// Mails whoever asked for a generation that it has ended, unless they do not want such mails.
    pub(crate) async fn tell_of_end(
        &self,
        db: &mut PgConnection,
        id: Id<Generation>,
        asker: &Asker,
        succeeded: bool,
    ) -> sqlx::Result<()> {
        let Some(user) = asker.user else { return Ok(()) };
        let Some(recipient) = Recipient::person(&mut *db, user).await? else { return Ok(()) };
        let mut link = self.mailer.brand().app_url.clone();
        link.set_path(&format!("/v1/generations/{id}"));
        let (name, operation) = (&*recipient.name, &*asker.operation);
        let mail = RenderComplete { name, operation, succeeded, link: &link };
        self.mailer.queue(db, &recipient.email, recipient.user, &mail).await?;
        Ok(())
    }
}
