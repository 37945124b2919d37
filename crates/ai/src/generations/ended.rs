use auth::Recipient;
use chrono::{DateTime, Utc};
use email::RenderComplete;
use kernel::{ApiKey, Id, Org, User};
use serde_json::Value;
use sqlx::{Connection, PgConnection};

use super::Generation;
use crate::{
    Ai,
    batches::Batch,
    webhook_events::{GenerationCompleted, GenerationFailed},
};

/// A generation that has just ended.
pub(crate) struct Ended {
    pub(crate) id: Id<Generation>,
    pub(crate) org: Id<Org>,
    pub(crate) user: Id<User>,
    pub(crate) api_key: Option<Id<ApiKey>>,
    pub(crate) operation: String,
    pub(crate) batch: Option<Id<Batch>>,
}

impl Ended {
    /// Tells whom it interests, in the transaction in which it ends: the org's programs, and whoever asked
    /// for it. Nobody is told of the calls of a batch, only of its end.
    pub(crate) async fn tell(
        &self,
        ai: &Ai,
        db: &mut PgConnection,
        problem: Option<&Value>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        if self.batch.is_some() {
            return Ok(());
        }
        self.emit(&mut *db, problem, now).await?;
        // Apart: an answer that was paid for is not lost over a mail.
        let mut part = db.begin().await?;
        match self.mail(ai, &mut part, problem.is_none()).await {
            Ok(()) => part.commit().await,
            Err(error) => {
                tracing::error!(generation = %self.id, %error, "nobody is told by mail of its end");
                part.rollback().await
            }
        }
    }

    async fn emit(
        &self,
        db: &mut PgConnection,
        problem: Option<&Value>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let (generation_id, operation) = (self.id, self.operation.clone());
        match problem {
            None => {
                let event = GenerationCompleted { generation_id, operation };
                webhooks::emit(db, self.org, &event, now).await
            }
            Some(problem) => {
                let code = problem["code"].as_str().unwrap_or_default().to_owned();
                let event = GenerationFailed { generation_id, operation, code };
                webhooks::emit(db, self.org, &event, now).await
            }
        }
    }

    /// Mails whoever asked for it, unless they do not want such mails. A program that called with a key looks
    /// by itself.
    async fn mail(&self, ai: &Ai, db: &mut PgConnection, succeeded: bool) -> sqlx::Result<()> {
        if self.api_key.is_some() {
            return Ok(());
        }
        let Some(recipient) = Recipient::person(&mut *db, self.user).await? else { return Ok(()) };
        let mut link = ai.mailer.brand().app_url.clone();
        link.set_path(&format!("/v1/generations/{}", self.id));
        let (name, operation) = (&*recipient.name, &*self.operation);
        let mail = RenderComplete { name, operation, succeeded, link: &link };
        ai.mailer.queue(db, &recipient.email, recipient.user, &mail).await?;
        Ok(())
    }
}
