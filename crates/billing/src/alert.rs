use auth::Recipient;
use email::SystemAlert;

use crate::{Billing, Error, Result};

impl Billing {
    /// Mails something about money to everybody who runs the product.
    pub(crate) async fn alert(&self, subject: &str, paragraphs: &[String]) -> Result<()> {
        tracing::error!(subject, "operators are told");
        let mut tx = self.db.begin().await?;
        for Recipient { email, user, name } in Recipient::operators(&mut *tx).await? {
            let alert = SystemAlert { name: &name, subject, paragraphs };
            self.mailer.queue(&mut tx, &email, user, &alert).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Mails that an event contradicts what we know: what it is about is not taken over.
    pub(crate) async fn tell_of_refused_event(&self, id: &str) -> Result<()> {
        let paragraphs = [
            format!(
                "Stripe's event {id} is about money or a plan of a customer of ours, but of nothing that their org \
                 bought here. It changed nothing."
            ),
            "Look at the customer at Stripe: somebody may pay for what they do not get. Further events about this \
             customer are not told for a day; GET /admin/v1/billing/events?state=refused shows them."
                .to_owned(),
        ];
        self.alert("An event of Stripe's contradicts our books", &paragraphs).await
    }

    /// Mails that an event could not be applied for hours and is left to people.
    pub(crate) async fn tell_of_stuck_event(&self, id: &str, error: &Error) -> Result<()> {
        let paragraphs = [
            format!("Stripe's event {id} could not be applied: {error}."),
            "It is kept. The nightly reconciliation tries it again; POST \
             /admin/v1/billing/events/{id}/replays does so at once."
                .to_owned(),
        ];
        self.alert("An event of Stripe's could not be applied", &paragraphs).await
    }
}
