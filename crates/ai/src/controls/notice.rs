use auth::Recipient;
use email::SystemAlert;
use kernel::{Id, Org};
use sqlx::PgConnection;

use super::control::Stop;
use crate::Ai;

impl Ai {
    /// Mails that AI calls were stopped, or go on: to the org's owners and to the operators, or, if it
    /// concerns everybody, to the operators only.
    pub(super) async fn tell(
        &self,
        db: &mut PgConnection,
        org: Option<Id<Org>>,
        stop: Option<&Stop>,
    ) -> sqlx::Result<()> {
        let whose = match org {
            Some(org) => format!("the organization {org}"),
            None => "every organization".to_owned(),
        };
        let (subject, mut paragraphs) = match stop {
            Some(_) => (
                "AI calls are switched off",
                vec![format!("AI calls of {whose} are switched off.")],
            ),
            None => (
                "AI calls are switched on",
                vec![format!("AI calls of {whose} are switched on again.")],
            ),
        };
        if let Some(stop) = stop {
            paragraphs.push(format!("The reason: {}", email::harmless_line(&stop.reason)));
            paragraphs.push(
                "Calls in flight end as usual. New ones are refused until AI calls are switched on again."
                    .to_owned(),
            );
        }
        let mut recipients = Recipient::operators(&mut *db).await?;
        if let Some(org) = org {
            recipients.extend(Recipient::owners(&mut *db, org).await?);
        }
        for Recipient { email, user, name } in &recipients {
            let alert = SystemAlert { name, subject, paragraphs: &paragraphs };
            self.mailer.queue(db, email, *user, &alert).await?;
        }
        Ok(())
    }
}
