use jobs::Job;
use kernel::EmailAddress;

use crate::{EmailRecord, Mailer, mails::TestMail, outbox::SendEmail};

impl Mailer {
    /// Sends a mail to `to` at once, through all that other mails go through, and tells what became of it.
    pub async fn send_test(
        &self,
        to: &EmailAddress,
        asked_by: &str,
    ) -> anyhow::Result<EmailRecord> {
        let mut tx = self.db.begin().await?;
        let email = self.write(&mut tx, to, None, &TestMail { asked_by }).await?;
        tx.commit().await?;
        // Its failure is in the log, with what led to it.
        if let Err(error) = SendEmail::of(email).run(self.clone()).await {
            tracing::warn!(%error, "a test mail was not sent");
        }
        let record = EmailRecord::get(self.db.pool(), email).await?;
        record.ok_or_else(|| anyhow::anyhow!("the mail is not in the log"))
    }
}
