use jobs::Job;
use kernel::Id;
use serde::{Deserialize, Serialize};

use crate::{Email, Mailer, smtp::Failure};

/// Hands one mail of the outbox to the mail server.
#[derive(Serialize, Deserialize)]
pub(crate) struct SendEmail {
    pub(crate) email: Id<Email>,
}

impl Job for SendEmail {
    const NAME: &'static str = "email.send";
    type Context = Mailer;

    async fn run(self, mailer: Mailer) -> anyhow::Result<()> {
        let db = mailer.db.pool();
        let Some(email) = Email::attempt(db, self.email).await? else { return Ok(()) };
        let message = email.message(&mailer.from)?;
        let Err(failure) = mailer.smtp.send(&message).await else {
            email.mark_sent(db, mailer.clock.now()).await?;
            count("sent");
            return Ok(());
        };
        let error = failure.to_string();
        if matches!(failure, Failure::Permanent(_)) {
            email.give_up(db, &error).await?;
            count("refused");
            tracing::warn!(email = %email.id, error, "the mail server refused a mail for good");
            return Ok(());
        }
        if email.attempts >= i32::from(Self::MAX_ATTEMPTS) {
            email.give_up(db, &error).await?;
            count("given_up");
        } else {
            email.note(db, &error).await?;
        }
        Err(failure.into())
    }
}

fn count(outcome: &'static str) {
    metrics::counter!("emails_total", "outcome" => outcome).increment(1);
}
